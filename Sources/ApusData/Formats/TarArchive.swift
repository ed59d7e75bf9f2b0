import ApusDevice

/// Reading of plain tar archives (POSIX 1003.1 ustar), unpacked in memory. Links and other special
/// entries are passed over.
package struct TarArchive {
  private let bytes: [UInt8]
  private let name: String
  private let entries: [String: Range<Int>]

  /// Throws when a header is damaged or an entry longer than the archive.
  package init(_ bytes: [UInt8], name: String) throws {
    func failure(_ position: Int, _ what: String) -> ApusError {
      ApusError(
        .file, operation: name, "the tar archive cannot be read: \(what) at byte \(position)")
    }
    func text(_ range: Range<Int>) -> String {
      String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self)
    }
    var entries: [String: Range<Int>] = [:]
    var position = 0
    // The end is marked by blocks of zeros.
    while position + 512 <= bytes.count, bytes[position] != 0 {
      let sum = bytes[position..<position + 512].indices.reduce(0) { sum, index in
        // The checksum counts as spaces in itself.
        sum + ((position + 148..<position + 156).contains(index) ? 32 : Int(bytes[index]))
      }
      guard let stored = TarArchive.octal(bytes[position + 148..<position + 156]), stored == sum
      else { throw failure(position, "a header has a wrong checksum") }
      guard let size = TarArchive.octal(bytes[position + 124..<position + 136]) else {
        throw failure(position, "a header has no size")
      }
      let start = position + 512
      guard size <= bytes.count - start else { throw failure(position, "an entry is cut off") }
      let kind = bytes[position + 156]
      if kind == 0 || kind == UInt8(ascii: "0") {
        let isNew = bytes[position + 257..<position + 262].elementsEqual("ustar".utf8)
        let folder = isNew ? text(position + 345..<position + 500) : ""
        let file = text(position..<position + 100)
        entries[folder.isEmpty ? file : "\(folder)/\(file)"] = start..<start + size
      }
      position = start + (size + 511) / 512 * 512
    }
    guard !entries.isEmpty else { throw failure(0, "there is no file") }
    self.bytes = bytes
    self.name = name
    self.entries = entries
  }

  /// The files, in alphabetical order.
  var names: [String] { entries.keys.sorted() }

  /// nil where there is no such file.
  package func contents(of path: String) -> [UInt8]? {
    (entries[path] ?? entries["./" + path]).map { Array(bytes[$0]) }
  }

  /// Octal digits up to a space or a zero byte; nil for anything else.
  private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
    let digits = field.drop { $0 == 32 }.prefix { $0 != 0 && $0 != 32 }
    guard !digits.isEmpty, digits.count <= 12 else { return nil }
    return Int(String(decoding: digits, as: UTF8.self), radix: 8).flatMap { $0 >= 0 ? $0 : nil }
  }
}

import ApusDevice

/// Writing of zip archives below 4 GiB, the same bytes for the same contents (no times).
struct ZipWriter {
  private var body: [UInt8] = []
  private var directory: [UInt8] = []
  private var count = 0
  private let name: String

  init(name: String) { self.name = name }

  mutating func add(_ entry: String, _ contents: [UInt8], deflated: Bool) throws {
    let packed = deflated ? try Zlib.deflate(contents, .raw, name: name) : contents
    let offset = try word(body.count)
    // Version 2.0, UTF-8 names, method, midnight of 1980-01-01.
    var common = half(20) + half(0x0800) + half(deflated ? 8 : 0) + half(0) + half(0x21)
    common += bytes(Zlib.crc32(contents[...]))
    common += try bytes(word(packed.count)) + bytes(word(contents.count))
    common += half(entry.utf8.count) + half(0)
    body += bytes(0x0403_4B50) + common + Array(entry.utf8) + packed
    directory += bytes(0x0201_4B50) + half(20) + common
    directory += half(0) + half(0) + half(0) + bytes(0) + bytes(offset) + Array(entry.utf8)
    count += 1
  }

  func finished() throws -> [UInt8] {
    guard count < 0xFFFF else {
      throw ApusError(.value, operation: name, "\(count) entries are too many for one archive")
    }
    let end = try bytes(word(directory.count)) + bytes(word(body.count))
    return body + directory + bytes(0x0605_4B50) + half(0) + half(0) + half(count) + half(count)
      + end + half(0)
  }

  private func word(_ value: Int) throws -> UInt32 {
    guard let word = UInt32(exactly: value), word != .max else {
      throw ApusError(
        .value, operation: name, "archives of 4 GiB and more cannot be written; split the arrays")
    }
    return word
  }

  private func bytes(_ value: UInt32) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  private func half(_ value: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
  }
}

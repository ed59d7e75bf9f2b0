import ApusDevice

/// Reading of zip archives (PKWARE APPNOTE 6.3): stored and deflated entries, zip64 sizes.
struct ZipArchive {
  struct Entry {
    let name: String
    let isDeflated: Bool
    let checksum: UInt32
    let packedCount: Int
    let count: Int
    let offset: Int
  }

  let entries: [Entry]
  private let reader: LittleEndianReader

  private static let localMark = 0x0403_4B50
  private static let centralMark = 0x0201_4B50
  private static let endMark = 0x0605_4B50
  private static let end64Mark = 0x0606_4B50
  private static let locatorMark = 0x0706_4B50

  init(_ bytes: [UInt8], name: String) throws {
    let reader = LittleEndianReader(bytes: bytes[...], name: name)
    self.reader = reader
    let end = try ZipArchive.end(of: reader)
    var (count, start) = (
      try reader.number(at: end + 10, width: 2), try reader.number(at: end + 16, width: 4)
    )
    if end >= 20, try reader.number(at: end - 20, width: 4) == ZipArchive.locatorMark {
      let end64 = try reader.number(at: end - 12, width: 8)
      guard try reader.number(at: end64, width: 4) == ZipArchive.end64Mark else {
        throw ZipArchive.damage(name, "its zip64 record is not where it is said to be")
      }
      count = try reader.number(at: end64 + 32, width: 8)
      start = try reader.number(at: end64 + 48, width: 8)
    }
    var entries: [Entry] = []
    var position = start
    // A count that lies runs into the end of the file or into something that is no entry.
    while entries.count < count {
      let (entry, length) = try ZipArchive.entry(at: position, reader)
      entries.append(entry)
      position += length
    }
    self.entries = entries
  }

  /// The unpacked contents. Throws when they are damaged, encrypted or longer than `limit`.
  func contents(of entry: Entry, limit: Int) throws -> [UInt8] {
    let name = "\(reader.name)/\(entry.name)"
    guard entry.count <= limit else {
      throw ZipArchive.damage(name, "it unpacks to more than \(limit) bytes, which is refused")
    }
    guard try reader.number(at: entry.offset, width: 4) == ZipArchive.localMark else {
      throw ZipArchive.damage(name, "its entry is not where it is said to be")
    }
    let skipped =
      try 30 + reader.number(at: entry.offset + 26, width: 2)
      + reader.number(at: entry.offset + 28, width: 2)
    let packed = try reader.slice(at: entry.offset + skipped, count: entry.packedCount)
    let contents =
      entry.isDeflated
      ? try Zlib.inflate(packed, .raw, name: name, limit: entry.count) : Array(packed)
    guard contents.count == entry.count, Zlib.crc32(contents[...]) == entry.checksum else {
      throw ZipArchive.damage(name, "its length or checksum is wrong")
    }
    return contents
  }

  private static func end(of reader: LittleEndianReader) throws -> Int {
    let count = reader.bytes.count
    let last = count - 22
    if last >= 0 {
      for offset in stride(from: last, through: max(0, last - 65_535), by: -1) {
        if try reader.number(at: offset, width: 4) == endMark,
          try reader.number(at: offset + 20, width: 2) == count - offset - 22
        {
          return offset
        }
      }
    }
    throw damage(reader.name, "it has no directory (not a zip archive, or truncated)")
  }

  private static func entry(
    at position: Int, _ reader: LittleEndianReader
  ) throws -> (Entry, length: Int) {
    guard try reader.number(at: position, width: 4) == centralMark else {
      throw damage(reader.name, "its directory is broken at byte \(position)")
    }
    let flags = try reader.number(at: position + 8, width: 2)
    let method = try reader.number(at: position + 10, width: 2)
    let nameLength = try reader.number(at: position + 28, width: 2)
    let extraLength = try reader.number(at: position + 30, width: 2)
    let commentLength = try reader.number(at: position + 32, width: 2)
    let name = String(
      decoding: try reader.slice(at: position + 46, count: nameLength), as: UTF8.self)
    guard flags & 1 == 0, method == 0 || method == 8 else {
      throw damage(
        "\(reader.name)/\(name)", "it is encrypted or packed by method \(method), not deflate")
    }
    var sizes = [
      try reader.number(at: position + 24, width: 4),
      try reader.number(at: position + 20, width: 4),
      try reader.number(at: position + 42, width: 4),
    ]
    let extra = LittleEndianReader(
      bytes: try reader.slice(at: position + 46 + nameLength, count: extraLength),
      name: reader.name)
    try widen(&sizes, by: extra)
    let entry = Entry(
      name: name, isDeflated: method == 8,
      checksum: UInt32(truncatingIfNeeded: try reader.number(at: position + 16, width: 4)),
      packedCount: sizes[1], count: sizes[0], offset: sizes[2])
    return (entry, 46 + nameLength + extraLength + commentLength)
  }

  /// Takes the sizes that stand as `0xFFFFFFFF` from the zip64 field among the extra fields.
  private static func widen(_ sizes: inout [Int], by extra: LittleEndianReader) throws {
    var position = 0
    while position + 4 <= extra.bytes.count {
      let length = try extra.number(at: position + 2, width: 2)
      if try extra.number(at: position, width: 2) == 1 {
        var value = position + 4
        for index in sizes.indices where sizes[index] == 0xFFFF_FFFF {
          sizes[index] = try extra.number(at: value, width: 8)
          value += 8
        }
        return
      }
      position += 4 + length
    }
  }

  private static func damage(_ name: String, _ what: String) -> ApusError {
    ApusError(.file, operation: name, "the archive cannot be read: \(what)")
  }
}

import ApusData

/// Makes the checksums of a damaged PNG right again.
enum PNGRepair {
  static func repaired(_ bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    var position = 8
    while position + 12 <= result.count {
      let length = result[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      let end = position + 8 + length
      guard end + 4 <= result.count else { break }
      let sum = Zlib.crc32(result[position + 4..<end])
      for byte in 0..<4 {
        result[end + byte] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * byte))
      }
      position = end + 4
    }
    return result
  }
}

import ApusDevice

/// Bounds-checked reading of little-endian numbers.
struct LittleEndianReader {
  let bytes: ArraySlice<UInt8>
  let name: String

  /// An unsigned number of `width` bytes (at most 8) at `offset`. Throws `.file` beyond the end and
  /// for numbers beyond `Int`.
  func number(at offset: Int, width: Int) throws -> Int {
    var value: UInt64 = 0
    for byte in try slice(at: offset, count: width).reversed() { value = value << 8 | UInt64(byte) }
    guard let number = Int(exactly: value) else {
      throw ApusError(.file, operation: name, "is damaged: it claims a size of \(value)")
    }
    return number
  }

  func slice(at offset: Int, count: Int) throws -> ArraySlice<UInt8> {
    guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
      throw ApusError(
        .file, operation: name,
        "is truncated or damaged: \(count) bytes are expected at \(offset), it has \(bytes.count)")
    }
    let start = bytes.startIndex + offset
    return bytes[start..<start + count]
  }
}

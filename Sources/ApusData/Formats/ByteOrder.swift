/// Conversions between big-endian and little-endian elements.
enum ByteOrder {
  /// The bytes of each element of `width` bytes in reverse.
  static func reversed(_ bytes: ArraySlice<UInt8>, width: Int) -> [UInt8] {
    guard width > 1 else { return Array(bytes) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var element = bytes.startIndex
    while element + width <= bytes.endIndex {
      for offset in stride(from: width - 1, through: 0, by: -1) {
        result.append(bytes[element + offset])
      }
      element += width
    }
    return result
  }
}

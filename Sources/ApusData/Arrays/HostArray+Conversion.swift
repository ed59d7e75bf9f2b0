import ApusDevice

extension HostArray {
  /// Every element as a `Float`; `float64` and large `int32` are rounded, `bool` is 0 or 1.
  public func floats() -> [Float] {
    switch dtype {
    case .float32: words(of: UInt32.self) { Float(bitPattern: $0) }
    case .float64: words(of: UInt64.self) { Float(Double(bitPattern: $0)) }
    case .float16: words(of: UInt16.self, HostArray.widened(half:))
    case .bfloat16: words(of: UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
    case .int32: words(of: UInt32.self) { Float(Int32(bitPattern: $0)) }
    case .uint8: bytes.map { Float($0) }
    case .bool: bytes.map { $0 == 0 ? 0 : 1 }
    }
  }

  /// Every element as an `Int32`. Throws where a floating-point element is not a whole number in the
  /// range of `Int32`.
  public func int32s() throws -> [Int32] {
    switch dtype {
    case .int32: words(of: UInt32.self) { Int32(bitPattern: $0) }
    case .uint8: bytes.map { Int32($0) }
    case .bool: bytes.map { $0 == 0 ? 0 : 1 }
    case .float64:
      try HostArray.exact(words(of: UInt64.self) { Double(bitPattern: $0) }, dtype)
    case .float32, .float16, .bfloat16:
      try HostArray.exact(floats().map { Double($0) }, dtype)
    }
  }

  private static func exact(_ values: [Double], _ dtype: DType) throws -> [Int32] {
    var result: [Int32] = []
    result.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      guard let whole = Int32(exactly: value) else {
        throw ApusError(
          .data, operation: "HostArray.int32s",
          "element \(index) of the \(dtype) array is \(value), which is not a whole number of 32 bits"
        )
      }
      result.append(whole)
    }
    return result
  }

  private func words<Word: FixedWidthInteger, Result>(
    of type: Word.Type, _ transform: (Word) -> Result
  ) -> [Result] {
    bytes.withUnsafeBytes { raw in
      let width = MemoryLayout<Word>.size
      return (0..<raw.count / width).map {
        transform(Word(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * width, as: Word.self)))
      }
    }
  }

  /// IEEE 754 binary16 to binary32.
  static func widened(half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1F
    let fraction = UInt32(half & 0x3FF)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return sign == 0 ? magnitude : -magnitude
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

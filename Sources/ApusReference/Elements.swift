import ApusDevice

/// Every element of an operand in row-major order, whatever its strides and type; a `Double` holds
/// each of them exactly.
func elements(of operand: Operand, at base: UnsafeMutableRawPointer) -> [Double] {
  let at = offsets(of: operand.layout)
  func load<T: BitwiseCopyable>(_ type: T.Type, _ value: (T) -> Double) -> [Double] {
    let source = base.assumingMemoryBound(to: type)
    return at.map { value(source[$0]) }
  }
  return switch operand.dtype {
  case .float32: load(Float.self) { Double($0) }
  case .float64: load(Double.self) { $0 }
  case .float16: load(UInt16.self, valueOfHalf)
  case .bfloat16: load(UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
  case .int32: load(Int32.self) { Double($0) }
  case .uint8: load(UInt8.self) { Double($0) }
  case .bool: load(UInt8.self) { $0 == 0 ? 0 : 1 }
  }
}

/// Writes values in row-major order, each rounded once to the operand's type: nearest even, to
/// integers truncated and saturated with NaN as 0.
func store(_ values: [Double], in operand: Operand, at base: UnsafeMutableRawPointer) {
  let at = offsets(of: operand.layout)
  func put<T: BitwiseCopyable>(_ type: T.Type, _ convert: (Double) -> T) {
    let target = base.assumingMemoryBound(to: type)
    for (offset, value) in zip(at, values) { target[offset] = convert(value) }
  }
  switch operand.dtype {
  case .float32: put(Float.self) { Float($0) }
  case .float64: put(Double.self) { $0 }
  case .float16: put(UInt16.self, halfBits)
  case .bfloat16: put(UInt16.self, bfloatBits)
  case .int32: put(Int32.self) { saturated($0) }
  case .uint8: put(UInt8.self) { saturated($0) }
  case .bool: put(UInt8.self) { $0 != 0 ? 1 : 0 }
  }
}

/// Copies elements of one type bit for bit.
func move(
  _ x: Operand, at source: UnsafeMutableRawPointer, to out: Operand,
  at target: UnsafeMutableRawPointer
) {
  let size = x.dtype.byteCount
  for (from, to) in zip(offsets(of: x.layout), offsets(of: out.layout)) {
    (target + to * size).copyMemory(from: source + from * size, byteCount: size)
  }
}

/// Where each element of the layout lies, in row-major order.
func offsets(of layout: Layout) -> [Int] {
  if layout.count == 0 { return [] }
  if layout.isContiguous { return Array(layout.offset..<layout.offset + layout.count) }
  var result = [layout.offset]
  for (extent, stride) in zip(layout.shape, layout.strides) where extent != 1 {
    var next: [Int] = []
    next.reserveCapacity(result.count * extent)
    for start in result {
      for index in 0..<extent { next.append(start + index * stride) }
    }
    result = next
  }
  return result
}

// MARK: Number formats

func saturated<T: FixedWidthInteger>(_ value: Double) -> T {
  if value.isNaN { return 0 }
  if value <= Double(T.min) { return T.min }
  if value >= Double(T.max) { return T.max }
  return T(value)
}

/// IEEE 754 binary16 as a number.
func valueOfHalf(_ bits: UInt16) -> Double {
  let fraction = Double(bits & 0x3FF)
  let magnitude: Double
  switch (bits >> 10) & 0x1F {
  case 0: magnitude = fraction * 0x1p-24
  case 31: magnitude = fraction == 0 ? .infinity : .nan
  case let exponent:
    magnitude = Double(
      sign: .plus, exponent: Int(exponent) - 15, significand: 1 + fraction * 0x1p-10)
  }
  return bits & 0x8000 == 0 ? magnitude : -magnitude
}

/// The nearest binary16, ties to even.
func halfBits(_ value: Double) -> UInt16 {
  // The scale of one unit in the last place; subnormals share that of the smallest normal.
  let bits = nearest(value, precision: 11, smallestExponent: -14, largestExponent: 15)
  return UInt16(truncatingIfNeeded: bits)
}

/// The nearest bfloat16 (the upper half of a `float32`), ties to even.
func bfloatBits(_ value: Double) -> UInt16 {
  let bits = nearest(value, precision: 8, smallestExponent: -126, largestExponent: 127)
  return UInt16(truncatingIfNeeded: bits)
}

/// The bits of a 16-bit binary format with `precision` significant bits, rounded once.
private func nearest(
  _ value: Double, precision: Int, smallestExponent: Int, largestExponent: Int
) -> Int {
  let sign = value.sign == .minus ? 0x8000 : 0
  let fractionBits = precision - 1
  let infinity = (largestExponent - smallestExponent + 2) << fractionBits
  if value.isNaN { return sign | infinity | 1 << (fractionBits - 1) }
  if value.isInfinite { return sign | infinity }
  if value.isZero { return sign }
  let exponent = max(Int(value.exponent), smallestExponent)
  // In units of the last place, a normal number's leading bit adds one to the exponent field, and a
  // carry out of rounding does the same.
  let units =
    (value.magnitude * Double(sign: .plus, exponent: fractionBits - exponent, significand: 1))
    .rounded(.toNearestOrEven)
  return sign | min(Int(units) + (exponent - smallestExponent) << fractionBits, infinity)
}

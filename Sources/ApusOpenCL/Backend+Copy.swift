import ApusDevice

extension OpenCLBackend {
  func fill(_ value: Double, _ out: Operand) throws {
    var it = try Iteration(out.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let target = try buffer(out)
    let kernel: KernelID
    switch out.dtype.byteCount {
    case 1: kernel = .fill_1
    case 2: kernel = .fill_2
    case 4: kernel = .fill_4
    default: kernel = .fill_8
    }
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(target)
      switch out.dtype {
      case .float32: $0.value(Float(value))
      case .float64: $0.value(value)
      case .float16: $0.value(halfBits(value))
      case .bfloat16: $0.value(bfloatBits(Float(value)))
      case .int32: $0.value(saturatedInt32(value))
      case .uint8: $0.value(value.isNaN ? UInt8(0) : UInt8(max(min(value, 255), 0)))
      case .bool: $0.value(UInt8(value != 0 ? 1 : 0))
      }
    }
  }

  func copy(_ x: Operand, to out: Operand) throws {
    var it: Iteration
    if out.layout.isContiguous {
      it = try Iteration(out.layout, x.layout)
    } else {
      // Along the result: what is written next to each other lies next to each other.
      let order = out.layout.axesInMemoryOrder
      it = try Iteration(out.layout.selecting(order), x.layout.selecting(order))
    }
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (source, target) = (try buffer(x), try buffer(out))
    if x.dtype == out.dtype {
      if x.dtype.byteCount == 4, !runtime.isGPU,
        let transposition = Transposition(
          it, units: max(description.computeUnits, 1), tuned: tuned)
      {
        return try runtime.launch(.transpose_4, transposition.size) {
          $0.value(transposition.arguments)
          $0.buffer(source)
          $0.buffer(target)
        }
      }
      let kernel: KernelID
      switch x.dtype.byteCount {
      case 1: kernel = .copy_1
      case 2: kernel = .copy_2
      case 4: kernel = .copy_4
      default: kernel = .copy_8
      }
      return try runtime.launch(kernel, size) {
        $0.value(it)
        $0.buffer(source)
        $0.buffer(target)
      }
    }
    let kernel: KernelID
    if x.dtype == .float64 || out.dtype == .float64 {
      guard description.hasFloat64 else {
        throw ApusError(
          .dtype, operation: "copy",
          "'\(info.name)' has no float64; use float32, or convert on the host")
      }
      kernel = .cast_double
    } else if !x.dtype.isFloatingPoint && !out.dtype.isFloatingPoint {
      kernel = .cast_int
    } else {
      kernel = .cast_float
    }
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(Int32(x.dtype.kernelCode))
      $0.value(Int32(out.dtype.kernelCode))
    }
  }
}

extension DType {
  /// The code of cast.cl.
  var kernelCode: Int {
    switch self {
    case .float32: 0
    case .float64: 1
    case .float16: 2
    case .bfloat16: 3
    case .int32: 4
    case .uint8: 5
    case .bool: 6
    }
  }
}

/// The bits of a value rounded to binary16, nearest even.
func halfBits(_ value: Double) -> UInt16 {
  let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
  let magnitude = value.magnitude
  if value.isNaN { return sign | 0x7E00 }
  // 65520 lies halfway between the largest finite half and 2^16.
  if magnitude >= 65520 { return sign | 0x7C00 }
  // One unit in the last place: 2^(exponent - 10), never below 2^-24.
  let exponent = magnitude == 0 ? -14 : max(Int(magnitude.exponent), -14)
  let units = (magnitude * Double(sign: .plus, exponent: 10 - exponent, significand: 1))
    .rounded(.toNearestOrEven)
  // A normal's leading unit (1024) carries into the exponent field by addition.
  return sign | UInt16(Int(units) + (exponent + 14) << 10)
}

/// The bits of a value rounded to bfloat16, nearest even.
func bfloatBits(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
  return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
}

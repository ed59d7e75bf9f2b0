import ApusDevice
import CVector

extension CPUBackend {
  static let zeroStrides = [Int](repeating: 0, count: Layout.maximumRank)

  /// `out = f(a, b, c)`, all of the shape of `out`.
  func elementwise(
    _ operation: apus_operation, _ a: Operand, _ b: Operand? = nil, _ c: Operand? = nil,
    with parameters: apus_parameters = apus_parameters(), to out: Operand
  ) throws {
    try checkRank(out, "element-wise")
    let layout = out.layout
    let (bp, cp) = (try b.map(pointer), try c.map(pointer))
    apus_elementwise(
      operation, parameters, Int32(layout.rank), layout.shape, try pointer(out), layout.strides,
      try pointer(a), a.layout.strides, bp, b?.layout.strides ?? CPUBackend.zeroStrides, cp,
      c?.layout.strides ?? CPUBackend.zeroStrides)
  }

  func unary(_ op: UnaryOp, _ x: Operand, _ out: Operand) throws {
    switch op {
    case .logicalNot:
      try require(.bool, x, "logicalNot")
      return try elementwise(APUS_NOT, x, to: out)
    case .isNaN, .isFinite:
      guard x.dtype.isFloatingPoint else { throw unsupported("\(op)", x.dtype, takes: "floats") }
      let isNaN = op == .isNaN
      if x.dtype == .float64 {
        return try elementwise(isNaN ? APUS_IS_NAN_64 : APUS_IS_FINITE_64, x, to: out)
      }
      var source = x
      if x.dtype != .float32 {
        source = try temporary(x.shape)
        try copy(x, source)
      }
      return try withExtendedLifetime(source) {
        try elementwise(isNaN ? APUS_IS_NAN : APUS_IS_FINITE, source, to: out)
      }
    default: break
    }
    let (code, parameters) = op.code
    if x.dtype == .int32, let integer = op.integerCode {
      return try elementwise(integer, x, to: out)
    }
    try require(.float32, x, "\(op)")
    try elementwise(code, x, with: parameters, to: out)
  }

  func unaryBackward(_ op: UnaryOp, _ saved: Operand, _ dy: Operand, _ dx: Operand) throws {
    try require(.float32, dy, "\(op) backward")
    // What is not read may be of any type; the gradient stands in for it.
    let saved = op.saved == .nothing ? dy : saved
    try require(.float32, saved, "\(op) backward")
    let (code, parameters) = op.code
    guard code.rawValue <= APUS_IDENTITY.rawValue else { return try fill(0, dx) }
    try elementwise(
      apus_operation(APUS_BACKWARD.rawValue + code.rawValue), saved, dy, with: parameters, to: dx)
  }

  func binary(_ op: BinaryOp, _ a: Operand, _ b: Operand, _ out: Operand) throws {
    try elementwise(try op.code(a.dtype), a, b, to: out)
  }

  func scalar(
    _ op: BinaryOp, _ value: Double, reversed: Bool, _ x: Operand, _ out: Operand
  ) throws {
    let code = try op.code(x.dtype)
    try checkRank(out, "\(op)")
    let layout = out.layout
    let source = UnsafeRawPointer(try pointer(x))
    let target = try pointer(out)
    func run(_ scalar: UnsafeRawPointer) {
      let zeros = CPUBackend.zeroStrides
      apus_elementwise(
        code, apus_parameters(), Int32(layout.rank), layout.shape, target, layout.strides,
        reversed ? scalar : source, reversed ? zeros : x.layout.strides,
        reversed ? source : scalar, reversed ? x.layout.strides : zeros, nil, nil)
    }
    switch x.dtype {
    case .int32: withUnsafePointer(to: Int32(saturating: value)) { run($0) }
    case .float32: withUnsafePointer(to: Float(value)) { run($0) }
    default: throw unsupported("\(op) with a scalar", x.dtype, takes: "float32 and int32")
    }
  }

  func compare(_ op: ComparisonOp, _ a: Operand, _ b: Operand, _ out: Operand) throws {
    let first: apus_operation
    switch a.dtype {
    case .float32: first = APUS_EQUAL
    case .int32: first = APUS_INT_EQUAL
    case .uint8, .bool: first = APUS_BYTE_EQUAL
    default:
      throw unsupported("compare \(op)", a.dtype, takes: "float32, int32, uint8 and bool")
    }
    try elementwise(apus_operation(first.rawValue + UInt32(op.rawValue)), a, b, to: out)
  }

  func ternary(_ op: TernaryOp, _ a: Operand, _ b: Operand, _ c: Operand, _ out: Operand) throws {
    switch op {
    case .select:
      try require(.bool, a, "select")
      try elementwise(
        apus_operation(APUS_SELECT.rawValue + b.dtype.sizeCode), a, b, c, to: out)
    case .multiplyAdd, .lerp:
      try require(.float32, a, "\(op)")
      try elementwise(op == .lerp ? APUS_LERP : APUS_MULTIPLY_ADD, a, b, c, to: out)
    }
  }
}

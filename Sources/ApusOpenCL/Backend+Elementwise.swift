import ApusDevice

extension OpenCLBackend {
  /// Adds a function of dense `float32` operands to the commands that are launched together; false for
  /// other operands.
  private func joins(
    _ function: StepFunction, _ x: Operand, _ y: Operand? = nil, _ z: Operand? = nil,
    to out: Operand
  ) throws -> Bool {
    let count = out.count
    guard count > 0, let target = try chainOperand(out), !target.isSplat,
      let first = try chainOperand(x)
    else { return false }
    var (second, third): (ChainOperand?, ChainOperand?) = (nil, nil)
    if let y {
      second = try chainOperand(y)
      if second == nil { return false }
    }
    if let z {
      third = try chainOperand(z)
      if third == nil { return false }
    }
    return runtime.join(function, count: try index(count), first, second, third, to: target)
  }

  private func chainOperand(_ operand: Operand) throws -> ChainOperand? {
    guard operand.dtype == .float32 else { return nil }
    let layout = operand.layout
    let isDense = layout.isContiguous
    if !isDense {
      for axis in layout.shape.indices where layout.strides[axis] != 0 && layout.shape[axis] != 1 {
        return nil
      }
    }
    _ = try index(layout.end)
    return ChainOperand(
      buffer: try buffer(operand), offset: try index(layout.offset), isSplat: !isDense)
  }

  func unary(_ op: UnaryOp, _ x: Operand, _ out: Operand) throws {
    if !op.resultIsBool {
      let (code, a, b) = op.kernelCode
      let function = StepFunction(
        family: .unary, op: UInt8(truncatingIfNeeded: code), a: a, b: b)
      if try joins(function, x, to: out) { return }
    }
    var it = try Iteration(out.layout, x.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (source, target) = (try buffer(x), try buffer(out))
    let (code, a, b) = op.kernelCode
    switch op {
    case .logicalNot:
      try require(.bool, x, "logicalNot")
      try launchLogical(2, it, size, source, source, target, invert: true)
    case .isNaN, .isFinite:
      if x.dtype != .float32 {
        let widened = try temporary(x.shape)
        try copy(x, to: widened)
        return try unary(op, widened, out)
      }
      try runtime.launch(.classify, size) {
        $0.value(it)
        $0.buffer(source)
        $0.buffer(target)
        $0.value(code)
      }
    default:
      if x.dtype == .int32, code <= 3 {
        return try runtime.launch(.unary_int, size) {
          $0.value(it)
          $0.buffer(source)
          $0.buffer(target)
          $0.value(code)
        }
      }
      guard x.dtype == .float32 else {
        throw unsupported("\(op)", x.dtype, takes: code <= 3 ? "float32 and int32" : "float32")
      }
      try runtime.launch(.unary, size) {
        $0.value(it)
        $0.buffer(source)
        $0.buffer(target)
        $0.value(code)
        $0.value(a)
        $0.value(b)
      }
    }
  }

  func unaryBackward(_ op: UnaryOp, _ saved: Operand, _ dy: Operand, _ dx: Operand) throws {
    try require(.float32, dy, "\(op) backward")
    // What is not read may be of any type; the gradient stands in for it.
    let saved = op.saved == .nothing ? dy : saved
    try require(.float32, saved, "\(op) backward")
    let (code, a, b) = op.kernelCode
    let function = StepFunction(
      family: .derivative, op: UInt8(truncatingIfNeeded: code), a: a, b: b)
    if try joins(function, saved, dy, to: dx) { return }
    var it = try Iteration(dx.layout, saved.layout, dy.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (s, g, out) = (try buffer(saved), try buffer(dy), try buffer(dx))
    try runtime.launch(.unary_backward, size) {
      $0.value(it)
      $0.buffer(s)
      $0.buffer(g)
      $0.buffer(out)
      $0.value(code)
      $0.value(a)
      $0.value(b)
    }
  }

  func binary(_ op: BinaryOp, _ x: Operand, _ y: Operand, _ out: Operand) throws {
    let function = StepFunction(family: .binary, op: op.rawValue)
    if try op.isArithmetic && joins(function, x, y, to: out) { return }
    var it = try Iteration(out.layout, x.layout, y.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (a, b, c) = (try buffer(x), try buffer(y), try buffer(out))
    let code = Int32(op.rawValue)
    if !op.isArithmetic {
      try require(.bool, x, "\(op)")
      return try launchLogical(
        code - Int32(BinaryOp.logicalAnd.rawValue), it, size, a, b, c, invert: false)
    }
    let kernel = try binaryKernel(op, x.dtype, float: .binary, int: .binary_int)
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.value(code)
    }
  }

  func scalar(
    _ op: BinaryOp, _ value: Double, reversed: Bool, _ x: Operand, _ out: Operand
  ) throws {
    let function = StepFunction(
      family: .binary, op: op.rawValue, a: Float(value), constant: reversed ? 0 : 1)
    if try op.isArithmetic && joins(function, x, to: out) { return }
    var it = try Iteration(out.layout, x.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (source, target) = (try buffer(x), try buffer(out))
    let code = Int32(op.rawValue)
    guard op.isArithmetic else {
      throw unsupported("scalar \(op)", x.dtype, takes: "no scalars")
    }
    let kernel = try binaryKernel(op, x.dtype, float: .scalar_binary, int: .scalar_binary_int)
    let isInteger = x.dtype == .int32
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(code)
      if isInteger { $0.value(saturatedInt32(value)) } else { $0.value(Float(value)) }
      $0.value(reversed ? Int32(1) : 0)
    }
  }

  private func binaryKernel(
    _ op: BinaryOp, _ dtype: DType, float: KernelID, int: KernelID
  ) throws -> KernelID {
    if dtype == .float32 { return float }
    switch op {
    case .add, .subtract, .multiply, .maximum, .minimum:
      if dtype == .int32 { return int }
      throw unsupported("\(op)", dtype, takes: "float32 and int32")
    default: throw unsupported("\(op)", dtype, takes: "float32")
    }
  }

  func compare(_ op: ComparisonOp, _ x: Operand, _ y: Operand, _ out: Operand) throws {
    var it = try Iteration(out.layout, x.layout, y.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (a, b, c) = (try buffer(x), try buffer(y), try buffer(out))
    let kernel: KernelID
    switch x.dtype {
    case .float32: kernel = .compare
    case .int32: kernel = .compare_int
    case .uint8, .bool: kernel = .compare_byte
    default: throw unsupported("\(op)", x.dtype, takes: "float32, int32, uint8 and bool")
    }
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.value(Int32(op.rawValue))
    }
  }

  func ternary(_ op: TernaryOp, _ x: Operand, _ y: Operand, _ z: Operand, _ out: Operand) throws {
    let function = StepFunction(family: .ternary, op: op.rawValue)
    if try op != .select && joins(function, x, y, z, to: out) { return }
    var it = try Iteration(out.layout, x.layout, y.layout, z.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (a, b, c, d) = (try buffer(x), try buffer(y), try buffer(z), try buffer(out))
    var kernel = KernelID.ternary
    if op == .select {
      try require(.bool, x, "select")
      switch out.dtype.byteCount {
      case 1: kernel = .select_1
      case 2: kernel = .select_2
      case 4: kernel = .select_4
      default: kernel = .select_8
      }
    } else {
      try require(.float32, x, "\(op)")
    }
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      if op != .select { $0.value(Int32(op.rawValue)) }
    }
  }
}

import ApusDevice

extension Tensor {
  /// `x ∘ scalar`, or `scalar ∘ x` when `reversed`; the element type stays, but integers become
  /// `float32` where the scalar or the result is no integer.
  public func scalar(_ op: BinaryOp, _ value: Double, reversed: Bool = false) throws -> Tensor {
    let x = try prepared(for: op, value)
    let y = try Tensor.elementwise(
      .scalar(op, value, reversed: reversed), x, dtype: x.dtype)
    guard let tape = try Tape.watching(x) else { return y }
    let saved = x.detached
    return try tape.record(y, from: [x]) { dy in
      [try op.scalarGradient(dy, saved, y, value, reversed: reversed)]
    }
  }

  private func prepared(for op: BinaryOp, _ value: Double) throws -> Tensor {
    if op.isLogical {
      throw ApusError(
        .dtype, operation: "\(op)", "a number is no truth value; compare first, as in `x .> 0`")
    }
    switch dtype {
    case .float32, .float64: return self
    case .float16, .bfloat16: _ = try Tensor.promoted(dtype, .float32, "\(op)")
    case .int32, .uint8, .bool:
      if op.takesIntegers, Int32(exactly: value) != nil { return try to(.int32) }
    }
    return try to(.float32)
  }

  public static func + (a: Tensor, b: Double) throws -> Tensor { try a.scalar(.add, b) }
  public static func + (a: Double, b: Tensor) throws -> Tensor {
    try b.scalar(.add, a, reversed: true)
  }
  public static func - (a: Tensor, b: Double) throws -> Tensor { try a.scalar(.subtract, b) }
  public static func - (a: Double, b: Tensor) throws -> Tensor {
    try b.scalar(.subtract, a, reversed: true)
  }
  public static func * (a: Tensor, b: Double) throws -> Tensor { try a.scalar(.multiply, b) }
  public static func * (a: Double, b: Tensor) throws -> Tensor {
    try b.scalar(.multiply, a, reversed: true)
  }
  public static func / (a: Tensor, b: Double) throws -> Tensor { try a.scalar(.divide, b) }
  public static func / (a: Double, b: Tensor) throws -> Tensor {
    try b.scalar(.divide, a, reversed: true)
  }
  public func power(_ exponent: Double) throws -> Tensor { try scalar(.power, exponent) }
  public func maximum(_ value: Double) throws -> Tensor { try scalar(.maximum, value) }
  public func minimum(_ value: Double) throws -> Tensor { try scalar(.minimum, value) }
  public func remainder(_ divisor: Double) throws -> Tensor { try scalar(.remainder, divisor) }
}

extension BinaryOp {
  /// The gradient of `x ∘ value` with respect to `x`.
  fileprivate func scalarGradient(
    _ dy: Tensor, _ x: Tensor, _ y: Tensor, _ value: Double, reversed: Bool
  ) throws -> Tensor {
    switch self {
    case .add: return dy
    case .subtract: return reversed ? try -dy : dy
    case .multiply: return try dy * value
    case .divide: return reversed ? try -(dy * y / x) : try dy / value
    case .power where reversed:
      guard value != 0 else { return try .zeros(like: dy) }
      let logarithm = try Tensor.full([], value, dtype: x.dtype, on: x.device).log()
      return try dy * y * logarithm
    case .power:
      return value == 0 ? try .zeros(like: dy) : try dy * value * x.power(value - 1)
    case .maximum, .minimum, .remainder, .atan2:
      // Rare enough to go through a tensor of the scalar.
      let other = try Tensor.full([], value, dtype: x.dtype, on: x.device)
      let tape = Tape()
      let watched = try tape.watch(x)
      let again = try reversed ? other.binary(self, watched) : watched.binary(self, other)
      return try tape.gradients(of: again, for: [watched], seed: dy)[0]
    case .logicalAnd, .logicalOr, .logicalXor: return try .zeros(like: dy)
    }
  }
}

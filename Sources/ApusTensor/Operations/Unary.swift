import ApusDevice

extension Tensor {
  /// An element-wise function with its gradient; integers become `float32` unless the function is
  /// exact on them.
  public func unary(_ op: UnaryOp) throws -> Tensor {
    let x = try prepared(for: op)
    let y = try Tensor.elementwise(.unary(op), x, dtype: op.resultIsBool ? .bool : x.dtype)
    guard !op.resultIsBool, let tape = try Tape.watching(x) else { return y }
    let saved: Tensor
    switch op.saved {
    case .input: saved = x.detached
    case .output: saved = y
    case .nothing:
      // Piecewise constant functions pass no gradient.
      guard op == .negate else { return y }
      return try tape.record(y, from: [x]) { [try $0.unary(.negate)] }
    }
    return try tape.record(y, from: [x]) { dy in
      [try Tensor.elementwise(.unaryBackward(op), [saved, dy], dtype: dy.dtype)]
    }
  }

  private func prepared(for op: UnaryOp) throws -> Tensor {
    switch dtype {
    case .float32, .float64: return self
    case .float16, .bfloat16:
      throw ApusError(
        .dtype, operation: "\(op)",
        "\(dtype) is a storage format without arithmetic; cast with `to(.float32)` first")
    case .bool: if op == .logicalNot { return self }
    case .int32:
      switch op {
      case .negate, .abs, .sign, .square: return self
      case .floor, .ceil, .round: return try to(.float32)
      default: break
      }
    case .uint8: break
    }
    if op == .logicalNot { return try to(.bool) }
    return try to(.float32)
  }

  public static prefix func - (x: Tensor) throws -> Tensor { try x.unary(.negate) }

  public func abs() throws -> Tensor { try unary(.abs) }
  public func sign() throws -> Tensor { try unary(.sign) }
  public func square() throws -> Tensor { try unary(.square) }
  public func exp() throws -> Tensor { try unary(.exp) }
  /// `e^x − 1`, exact near 0.
  public func expm1() throws -> Tensor { try unary(.expm1) }
  public func log() throws -> Tensor { try unary(.log) }
  /// `log(1 + x)`, exact near 0.
  public func log1p() throws -> Tensor { try unary(.log1p) }
  public func sqrt() throws -> Tensor { try unary(.sqrt) }
  /// `1 / √x`.
  public func rsqrt() throws -> Tensor { try unary(.rsqrt) }
  public func reciprocal() throws -> Tensor { try unary(.reciprocal) }
  public func sin() throws -> Tensor { try unary(.sin) }
  public func cos() throws -> Tensor { try unary(.cos) }
  public func tanh() throws -> Tensor { try unary(.tanh) }
  public func erf() throws -> Tensor { try unary(.erf) }
  public func floor() throws -> Tensor { try unary(.floor) }
  public func ceil() throws -> Tensor { try unary(.ceil) }
  /// To the nearest integer, halves to even.
  public func round() throws -> Tensor { try unary(.round) }
  public func sigmoid() throws -> Tensor { try unary(.sigmoid) }
  public func relu() throws -> Tensor { try unary(.relu) }
  /// `x · sigmoid(x)`.
  public func silu() throws -> Tensor { try unary(.silu) }
  public func leakyReLU(slope: Float = 0.01) throws -> Tensor {
    try unary(.leakyReLU(slope: slope))
  }
  public func elu(alpha: Float = 1) throws -> Tensor { try unary(.elu(alpha: alpha)) }
  /// Gaussian error linear unit (Hendrycks and Gimpel 2016): `x · Φ(x)`, or its tanh approximation.
  public func gelu(approximate: Bool = false) throws -> Tensor {
    try unary(approximate ? .geluTanh : .gelu)
  }
  /// `log(1 + exp(beta · x)) / beta`, linear above `threshold`.
  public func softplus(beta: Float = 1, threshold: Float = 20) throws -> Tensor {
    try unary(.softplus(beta: beta, threshold: threshold))
  }
  /// Values limited to `min...max`; NaN stays.
  public func clamp(min: Float = -.infinity, max: Float = .infinity) throws -> Tensor {
    guard min <= max else {
      throw ApusError(.value, operation: "clamp", "min \(min) must not exceed max \(max)")
    }
    return try unary(.clamp(min: min, max: max))
  }
  public func logicalNot() throws -> Tensor { try unary(.logicalNot) }
  public func isNaN() throws -> Tensor { try unary(.isNaN) }
  public func isFinite() throws -> Tensor { try unary(.isFinite) }
}

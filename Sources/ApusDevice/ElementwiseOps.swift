/// Element-wise functions of one argument, `float32` unless noted. Formulas are PyTorch's.
public enum UnaryOp: Sendable, Hashable {
  /// Also for `int32`.
  case negate, abs, sign, square
  case exp, expm1, log, log1p, sqrt, rsqrt, reciprocal
  case sin, cos, tanh, erf
  case floor, ceil
  /// Half to even, as `roundf` of IEEE 754 `roundTiesToEven`.
  case round
  case sigmoid, relu, silu
  case leakyReLU(slope: Float)
  case elu(alpha: Float)
  /// `x · Φ(x)` with the error function.
  case gelu
  /// The tanh approximation of GELU.
  case geluTanh
  /// `log(1 + exp(beta·x)) / beta`, `x` itself where `beta·x > threshold`.
  case softplus(beta: Float, threshold: Float)
  /// Values limited to `min...max`; NaN stays. The derivative is 0 at the limits themselves.
  case clamp(min: Float, max: Float)
  /// `bool` in, `bool` out.
  case logicalNot
  /// Any float in, `bool` out.
  case isNaN, isFinite

  /// What the derivative is computed from: `unaryBackward` gets that tensor beside `dy`.
  public enum Saved: Sendable, Hashable { case input, output, nothing }

  public var saved: Saved {
    switch self {
    case .exp, .expm1, .sqrt, .rsqrt, .reciprocal, .tanh, .sigmoid, .relu, .leakyReLU, .elu:
      .output
    case .sign, .floor, .ceil, .round, .logicalNot, .isNaN, .isFinite, .negate: .nothing
    default: .input
    }
  }

  public var resultIsBool: Bool {
    switch self {
    case .logicalNot, .isNaN, .isFinite: true
    default: false
    }
  }
}

/// Element-wise functions of two arguments of the same type.
public enum BinaryOp: UInt8, Sendable, Hashable, CaseIterable {
  /// `float32` and `int32` (wrapping).
  case add, subtract, multiply
  /// `float32`.
  case divide, power, atan2
  /// `float32` and `int32`; NaN where either is NaN.
  case maximum, minimum
  /// Floored remainder with the sign of the divisor, as `torch.remainder`; `float32`.
  case remainder
  /// `bool`.
  case logicalAnd, logicalOr, logicalXor
}

/// Comparisons of two `float32`, `int32`, `uint8` or `bool` operands; the result is `bool`.
public enum ComparisonOp: UInt8, Sendable, Hashable, CaseIterable {
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
}

/// Element-wise functions of three arguments.
public enum TernaryOp: UInt8, Sendable, Hashable, CaseIterable {
  /// `condition ? a : b`; the condition is `bool`, `a` and `b` any one type.
  case select
  /// `a · b + c`, `float32`.
  case multiplyAdd
  /// `a + (b − a) · c`, `float32`.
  case lerp
}

/// Reductions. `float32` all; `int32` sum, maximum, minimum.
///
/// The sum of nothing is 0, the mean of nothing NaN; maximum and minimum of nothing are refused above
/// the seam. NaN spreads.
public enum ReduceOp: UInt8, Sendable, Hashable, CaseIterable {
  case sum, mean, maximum, minimum
}

/// The position of the first largest or smallest element; a NaN counts as the extreme. `float32` and
/// `int32` in, `int32` out.
public enum ArgReduceOp: UInt8, Sendable, Hashable, CaseIterable {
  case maximum, minimum
}

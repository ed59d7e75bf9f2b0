import ApusDevice
import Foundation

extension UnaryOp {
  var types: Set<DType> {
    switch self {
    case .negate, .abs, .sign, .square: DType.arithmetic.union([.int32])
    case .logicalNot: [.bool]
    case .isNaN, .isFinite: [.float32, .float64, .float16, .bfloat16]
    default: DType.arithmetic
    }
  }

  /// `f`, on `int32` wrapping.
  func function(_ dtype: DType) -> (Double) -> Double {
    if dtype == .int32 && self == .square {
      let multiply = BinaryOp.multiply.function(.int32)
      return { multiply($0, $0) }
    }
    let function = self.function
    return dtype == .int32 ? { wrapped(function($0)) } : function
  }

  private var function: (Double) -> Double {
    switch self {
    case .negate: { -$0 }
    case .abs: { Swift.abs($0) }
    case .sign: { $0 > 0 ? 1 : $0 < 0 ? -1 : $0.isNaN ? $0 : 0 }
    case .square: { $0 * $0 }
    case .exp: { Foundation.exp($0) }
    case .expm1: { Foundation.expm1($0) }
    case .log: { Foundation.log($0) }
    case .log1p: { Foundation.log1p($0) }
    case .sqrt: { $0.squareRoot() }
    case .rsqrt: { 1 / $0.squareRoot() }
    case .reciprocal: { 1 / $0 }
    case .sin: { Foundation.sin($0) }
    case .cos: { Foundation.cos($0) }
    case .tanh: { Foundation.tanh($0) }
    case .erf: { Foundation.erf($0) }
    case .floor: { $0.rounded(.down) }
    case .ceil: { $0.rounded(.up) }
    case .round: { $0.rounded(.toNearestOrEven) }
    case .sigmoid: logistic
    case .relu: { $0 < 0 ? 0 : $0 }
    case .silu: { $0 * logistic($0) }
    case .leakyReLU(let slope): { $0 < 0 ? $0 * Double(slope) : $0 }
    case .elu(let alpha): { $0 < 0 ? Double(alpha) * Foundation.expm1($0) : $0 }
    case .gelu: { $0 * normalDistribution($0) }
    case .geluTanh: { 0.5 * $0 * (1 + Foundation.tanh(geluArgument($0))) }
    case .softplus(let beta, let threshold):
      {
        let t = $0 * Double(beta)
        return t > Double(threshold) ? $0 : Foundation.log1p(Foundation.exp(t)) / Double(beta)
      }
    case .clamp(let low, let high):
      {
        let raised = $0 < Double(low) ? Double(low) : $0
        return raised > Double(high) ? Double(high) : raised
      }
    case .logicalNot: { $0 == 0 ? 1 : 0 }
    case .isNaN: { $0.isNaN ? 1 : 0 }
    case .isFinite: { $0.isFinite ? 1 : 0 }
    }
  }

  /// `(saved, dy) → dy · f′`.
  var derivative: (Double, Double) -> Double {
    switch self {
    case .negate: { -$1 }
    case .abs: { $0 > 0 ? $1 : $0 < 0 ? -$1 : 0 }
    case .square: { 2 * $0 * $1 }
    case .exp: { $0 * $1 }
    case .expm1: { ($0 + 1) * $1 }
    case .log: { $1 / $0 }
    case .log1p: { $1 / (1 + $0) }
    case .sqrt: { $1 / (2 * $0) }
    case .rsqrt: { -0.5 * $0 * $0 * $0 * $1 }
    case .reciprocal: { -$0 * $0 * $1 }
    case .sin: { Foundation.cos($0) * $1 }
    case .cos: { -Foundation.sin($0) * $1 }
    case .tanh: { (1 - $0 * $0) * $1 }
    case .erf: { 2 / Double.pi.squareRoot() * Foundation.exp(-$0 * $0) * $1 }
    case .sigmoid: { $0 * (1 - $0) * $1 }
    case .relu: { $0 > 0 ? $1 : 0 }
    case .silu:
      { x, dy in
        let s = logistic(x)
        return s * (1 + x * (1 - s)) * dy
      }
    case .leakyReLU(let slope): { $0 > 0 ? $1 : $1 * Double(slope) }
    case .elu(let alpha): { $0 > 0 ? $1 : $1 * ($0 + Double(alpha)) }
    case .gelu:
      { x, dy in
        let density = Foundation.exp(-0.5 * x * x) / (2 * Double.pi).squareRoot()
        return (normalDistribution(x) + x * density) * dy
      }
    case .geluTanh:
      { x, dy in
        let t = Foundation.tanh(geluArgument(x))
        let inner = (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
        return 0.5 * (1 + t + x * (1 - t * t) * inner) * dy
      }
    case .softplus(let beta, let threshold):
      { x, dy in
        x * Double(beta) > Double(threshold) ? dy : logistic(x * Double(beta)) * dy
      }
    case .clamp(let low, let high):
      { x, dy in x > Double(low) && x < Double(high) ? dy : 0 }
    case .sign, .floor, .ceil, .round, .logicalNot, .isNaN, .isFinite: { _, _ in 0 }
    }
  }
}

extension BinaryOp {
  var types: Set<DType> {
    switch self {
    case .add, .subtract, .multiply, .maximum, .minimum: DType.arithmetic.union([.int32])
    case .divide, .power, .atan2, .remainder: DType.arithmetic
    case .logicalAnd, .logicalOr, .logicalXor: [.bool]
    }
  }

  /// `f`, on `int32` wrapping.
  func function(_ dtype: DType) -> (Double, Double) -> Double {
    if dtype == .int32 && self == .multiply {
      // The product of two Int32 needs more bits than a Double's significand.
      return { Double(saturated($0) as Int32 &* saturated($1)) }
    }
    let function = self.function
    return dtype == .int32 ? { wrapped(function($0, $1)) } : function
  }

  private var function: (Double, Double) -> Double {
    switch self {
    case .add: { $0 + $1 }
    case .subtract: { $0 - $1 }
    case .multiply: { $0 * $1 }
    case .divide: { $0 / $1 }
    case .power: { pow($0, $1) }
    case .atan2: { Foundation.atan2($0, $1) }
    case .maximum: { $0 > $1 || $0.isNaN ? $0 : $1 }
    case .minimum: { $0 < $1 || $0.isNaN ? $0 : $1 }
    case .remainder:
      {
        let r = fmod($0, $1)
        return r != 0 && (r < 0) != ($1 < 0) ? r + $1 : r
      }
    case .logicalAnd: { $0 != 0 && $1 != 0 ? 1 : 0 }
    case .logicalOr: { $0 != 0 || $1 != 0 ? 1 : 0 }
    case .logicalXor: { ($0 != 0) != ($1 != 0) ? 1 : 0 }
    }
  }
}

extension ComparisonOp {
  func holds(_ a: Double, _ b: Double) -> Bool {
    switch self {
    case .equal: a == b
    case .notEqual: a != b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    }
  }
}

/// The low 32 bits of an integer below 2⁶³, as a signed number.
func wrapped(_ value: Double) -> Double {
  Double(Int32(truncatingIfNeeded: saturated(value) as Int64))
}

private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// `Φ(x)`; the complementary function keeps the digits of the left tail.
private func normalDistribution(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

private func geluArgument(_ x: Double) -> Double {
  (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
}

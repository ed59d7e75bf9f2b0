import ApusDevice
import CVector

extension DType {
  /// 0…3 for elements of 1, 2, 4 and 8 bytes.
  var sizeCode: UInt32 { UInt32(byteCount.trailingZeroBitCount) }
}

extension Int32 {
  /// Toward zero, limited to the range, 0 for NaN: the rule of `Operation.copy`.
  init(saturating value: Double) {
    if value.isNaN {
      self = 0
    } else if value >= 2_147_483_647 {
      self = .max
    } else if value <= -2_147_483_648 {
      self = .min
    } else {
      self = Int32(value)
    }
  }
}

extension UnaryOp {
  /// The loop and its parameters; `bool` functions have codes of their own.
  var code: (apus_operation, apus_parameters) {
    func plain(_ code: apus_operation) -> (apus_operation, apus_parameters) {
      (code, apus_parameters())
    }
    switch self {
    case .negate: return plain(APUS_NEGATE)
    case .abs: return plain(APUS_ABS)
    case .sign: return plain(APUS_SIGN)
    case .square: return plain(APUS_SQUARE)
    case .exp: return plain(APUS_EXP)
    case .expm1: return plain(APUS_EXPM1)
    case .log: return plain(APUS_LOG)
    case .log1p: return plain(APUS_LOG1P)
    case .sqrt: return plain(APUS_SQRT)
    case .rsqrt: return plain(APUS_RSQRT)
    case .reciprocal: return plain(APUS_RECIPROCAL)
    case .sin: return plain(APUS_SIN)
    case .cos: return plain(APUS_COS)
    case .tanh: return plain(APUS_TANH)
    case .erf: return plain(APUS_ERF)
    case .floor: return plain(APUS_FLOOR)
    case .ceil: return plain(APUS_CEIL)
    case .round: return plain(APUS_ROUND)
    case .sigmoid: return plain(APUS_SIGMOID)
    case .relu: return plain(APUS_RELU)
    case .silu: return plain(APUS_SILU)
    case .leakyReLU(let slope): return (APUS_LEAKY_RELU, apus_parameters(a: slope, b: 0, stream: 0))
    case .elu(let alpha): return (APUS_ELU, apus_parameters(a: alpha, b: 0, stream: 0))
    case .gelu: return plain(APUS_GELU)
    case .geluTanh: return plain(APUS_GELU_TANH)
    case .softplus(let beta, let threshold):
      return (APUS_SOFTPLUS, apus_parameters(a: beta, b: threshold, stream: 0))
    case .clamp(let low, let high):
      return (APUS_CLAMP, apus_parameters(a: low, b: high, stream: 0))
    case .logicalNot: return plain(APUS_NOT)
    case .isNaN: return plain(APUS_IS_NAN)
    case .isFinite: return plain(APUS_IS_FINITE)
    }
  }

  var integerCode: apus_operation? {
    switch self {
    case .negate: APUS_INT_NEGATE
    case .abs: APUS_INT_ABS
    case .sign: APUS_INT_SIGN
    case .square: APUS_INT_SQUARE
    default: nil
    }
  }
}

extension BinaryOp {
  /// - Throws: `ApusError` when the type has no such function.
  func code(_ dtype: DType) throws -> apus_operation {
    switch (dtype, self) {
    case (.float32, .add): return APUS_ADD
    case (.float32, .subtract): return APUS_SUBTRACT
    case (.float32, .multiply): return APUS_MULTIPLY
    case (.float32, .divide): return APUS_DIVIDE
    case (.float32, .power): return APUS_POWER
    case (.float32, .atan2): return APUS_ATAN2
    case (.float32, .maximum): return APUS_MAXIMUM
    case (.float32, .minimum): return APUS_MINIMUM
    case (.float32, .remainder): return APUS_REMAINDER
    case (.int32, .add): return APUS_INT_ADD
    case (.int32, .subtract): return APUS_INT_SUBTRACT
    case (.int32, .multiply): return APUS_INT_MULTIPLY
    case (.int32, .maximum): return APUS_INT_MAXIMUM
    case (.int32, .minimum): return APUS_INT_MINIMUM
    case (.bool, .logicalAnd): return APUS_AND
    case (.bool, .logicalOr): return APUS_OR
    case (.bool, .logicalXor): return APUS_XOR
    default:
      let takes: String
      switch self {
      case .add, .subtract, .multiply, .maximum, .minimum: takes = "float32 and int32"
      case .divide, .power, .atan2, .remainder: takes = "float32"
      case .logicalAnd, .logicalOr, .logicalXor: takes = "bool"
      }
      throw ApusError(
        .dtype, operation: "\(self)",
        "device 'cpu' takes \(takes) here, not \(dtype); cast the operands first")
    }
  }
}

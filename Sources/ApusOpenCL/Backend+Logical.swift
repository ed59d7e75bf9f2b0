import ApusDevice
import COpenCL

extension OpenCLBackend {
  /// `code`: 0 and, 1 or, 2 exclusive or; `invert` replaces the second operand by 1.
  func launchLogical(
    _ code: Int32, _ it: Iteration, _ size: LaunchSize, _ x: cl_mem, _ y: cl_mem, _ out: cl_mem,
    invert: Bool
  ) throws {
    var it = it
    if invert {
      // The second operand is bound but not read.
      it.offset[2] = it.offset[1]
    }
    try runtime.launch(.logical, size) {
      $0.value(it)
      $0.buffer(x)
      $0.buffer(y)
      $0.buffer(out)
      $0.value(code + Int32(BinaryOp.logicalAnd.rawValue))
      $0.value(invert ? Int32(1) : 0)
    }
  }
}

/// Truncated toward zero and saturated; NaN becomes 0.
func saturatedInt32(_ value: Double) -> Int32 {
  if value.isNaN { return 0 }
  return Int32(max(min(value, Double(Int32.max)), Double(Int32.min)))
}

extension BinaryOp {
  /// Whether it takes numbers, not truth values.
  var isArithmetic: Bool { rawValue < BinaryOp.logicalAnd.rawValue }
}

extension UnaryOp {
  /// The code of elementwise.cl and up to two parameters.
  var kernelCode: (Int32, Float, Float) {
    switch self {
    case .negate: (0, 0, 0)
    case .abs: (1, 0, 0)
    case .sign: (2, 0, 0)
    case .square: (3, 0, 0)
    case .exp: (4, 0, 0)
    case .expm1: (5, 0, 0)
    case .log: (6, 0, 0)
    case .log1p: (7, 0, 0)
    case .sqrt: (8, 0, 0)
    case .rsqrt: (9, 0, 0)
    case .reciprocal: (10, 0, 0)
    case .sin: (11, 0, 0)
    case .cos: (12, 0, 0)
    case .tanh: (13, 0, 0)
    case .erf: (14, 0, 0)
    case .floor: (15, 0, 0)
    case .ceil: (16, 0, 0)
    case .round: (17, 0, 0)
    case .sigmoid: (18, 0, 0)
    case .relu: (19, 0, 0)
    case .silu: (20, 0, 0)
    case .leakyReLU(let slope): (21, slope, 0)
    case .elu(let alpha): (22, alpha, 0)
    case .gelu: (23, 0, 0)
    case .geluTanh: (24, 0, 0)
    case .softplus(let beta, let threshold): (25, beta, threshold)
    case .clamp(let min, let max): (26, min, max)
    case .logicalNot: (27, 0, 0)
    case .isNaN: (28, 0, 0)
    case .isFinite: (29, 0, 0)
    }
  }
}

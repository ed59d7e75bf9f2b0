import ApusDevice

/// Element-wise commands for tests of chains, on whichever device.
public enum ChainCommands {
  public static let functions: [Operation] = {
    var functions: [Operation] = [.ternary(.multiplyAdd), .ternary(.lerp)]
    for op in unary { functions += [.unary(op), .unaryBackward(op)] }
    for op in BinaryOp.allCases where op.rawValue < BinaryOp.logicalAnd.rawValue {
      functions += [
        .binary(op), .scalar(op, 0.75, reversed: false), .scalar(op, 0.75, reversed: true),
      ]
    }
    return functions
  }()

  public static let unary: [UnaryOp] = [
    .negate, .abs, .sign, .square, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .reciprocal, .sin,
    .cos, .tanh, .erf, .floor, .ceil, .round, .sigmoid, .relu, .silu, .leakyReLU(slope: 0.1),
    .elu(alpha: 0.7), .gelu, .geluTanh, .softplus(beta: 2, threshold: 3), .clamp(min: -0.5, max: 1),
  ]

  /// The approximation of GELU by tanh, step by step; `next` gives the result of one command.
  public static func geluByHand(
    _ x: Operand, _ next: (Operation, Operand...) throws -> Operand
  ) throws -> Operand {
    let cube = try next(.binary(.multiply), next(.unary(.square), x), x)
    let sum = try next(
      .binary(.add), next(.scalar(.multiply, 0.044715, reversed: true), cube), x)
    let inner = try next(
      .unary(.tanh), next(.scalar(.multiply, 0.7978845608, reversed: false), sum))
    let shifted = try next(.scalar(.add, 1, reversed: true), inner)
    return try next(
      .scalar(.multiply, 0.5, reversed: false), next(.binary(.multiply), shifted, x))
  }
}

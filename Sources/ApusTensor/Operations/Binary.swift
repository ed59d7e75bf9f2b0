import ApusDevice

extension Tensor {
  /// An element-wise function of two tensors that broadcast, with its gradient.
  public func binary(_ op: BinaryOp, _ other: Tensor) throws -> Tensor {
    var (a, b) = (self, other)
    if op.isLogical {
      (a, b) = (try a.to(.bool), try b.to(.bool))
    } else if a.dtype != .float32 || b.dtype != .float32 {
      var dtype = try Tensor.promoted(a.dtype, b.dtype, "\(op)")
      if dtype == .int32 && !op.takesIntegers { dtype = .float32 }
      (a, b) = (try a.to(dtype), try b.to(dtype))
    }
    let shape = try ShapeRule.broadcast(a.shape, b.shape, "\(op)")
    guard a.device === b.device else {
      throw ApusError(
        .device, operation: "\(op)",
        "operands live on '\(a.device)' and '\(b.device)'; move one with `to(device)` first")
    }
    let y = try Tensor.elementwise(
      .binary(op), a.operand.broadcast(to: shape), b.operand.broadcast(to: shape), dtype: a.dtype,
      on: a.device)
    guard !op.isLogical, let tape = try Tape.watching(a, b) else { return y }
    return try tape.record(y, from: [a, b], pullback: op.pullback(a, b, y))
  }

  public static func + (a: Tensor, b: Tensor) throws -> Tensor { try a.binary(.add, b) }
  public static func - (a: Tensor, b: Tensor) throws -> Tensor { try a.binary(.subtract, b) }
  public static func * (a: Tensor, b: Tensor) throws -> Tensor { try a.binary(.multiply, b) }
  /// True division; integers become `float32`.
  public static func / (a: Tensor, b: Tensor) throws -> Tensor { try a.binary(.divide, b) }
  public func power(_ exponent: Tensor) throws -> Tensor { try binary(.power, exponent) }
  public func maximum(_ other: Tensor) throws -> Tensor { try binary(.maximum, other) }
  public func minimum(_ other: Tensor) throws -> Tensor { try binary(.minimum, other) }
  /// Floored remainder with the sign of the divisor.
  public func remainder(_ other: Tensor) throws -> Tensor { try binary(.remainder, other) }
  /// The angle of the point (`x`, self).
  public func atan2(_ x: Tensor) throws -> Tensor { try binary(.atan2, x) }
  public func logicalAnd(_ other: Tensor) throws -> Tensor { try binary(.logicalAnd, other) }
  public func logicalOr(_ other: Tensor) throws -> Tensor { try binary(.logicalOr, other) }
  public func logicalXor(_ other: Tensor) throws -> Tensor { try binary(.logicalXor, other) }
}

extension BinaryOp {
  var isLogical: Bool { self == .logicalAnd || self == .logicalOr || self == .logicalXor }

  var takesIntegers: Bool {
    switch self {
    case .add, .subtract, .multiply, .maximum, .minimum: true
    default: false
    }
  }

  /// Gradients of both operands, each summed back to the operand's own shape.
  func pullback(_ first: Tensor, _ second: Tensor, _ y: Tensor) -> Tape.Pullback {
    let (wantsA, wantsB) = (first.isWatched, second.isWatched)
    let (a, b) = (first.detached, second.detached)
    func pair(
      _ da: @escaping @Sendable (Tensor) throws -> Tensor,
      _ db: @escaping @Sendable (Tensor) throws -> Tensor
    ) -> Tape.Pullback {
      { dy in
        [
          wantsA ? try da(dy).summed(to: a.shape) : nil,
          wantsB ? try db(dy).summed(to: b.shape) : nil,
        ]
      }
    }
    switch self {
    case .add: return pair({ $0 }, { $0 })
    case .subtract: return pair({ $0 }, { try -$0 })
    case .multiply: return pair({ try $0 * b }, { try $0 * a })
    case .divide: return pair({ try $0 / b }, { try -($0 * y / b) })
    case .power:
      return pair(
        { try $0 * b * a.power(try b - 1) },
        { dy in
          // 0 to a power is constant in the power: no gradient instead of 0 · log 0.
          let logarithm = try Tensor.select(where: try a .== 0, try Tensor.zeros(like: a), a.log())
          return try dy * y * logarithm
        })
    case .atan2:
      return pair(
        { try $0 * b / (try a.square() + b.square()) },
        { try -($0 * a / (try a.square() + b.square())) })
    case .maximum:
      return pair({ try $0 * Self.share(a, b, .greater) }, { try $0 * Self.share(b, a, .greater) })
    case .minimum:
      return pair({ try $0 * Self.share(a, b, .less) }, { try $0 * Self.share(b, a, .less) })
    case .remainder:
      return pair({ $0 }, { try -($0 * (try a / b).floor()) })
    case .logicalAnd, .logicalOr, .logicalXor:
      return { _ in [nil, nil] }
    }
  }

  /// 1 where `a` wins, 1/2 at ties, else 0.
  private static func share(_ a: Tensor, _ b: Tensor, _ op: ComparisonOp) throws -> Tensor {
    let wins = try a.compare(op, b).to(.float32)
    return try wins + a.compare(.equal, b).to(.float32) * 0.5
  }
}

extension Tensor {
  /// The sum over what broadcasting repeated: the adjoint of broadcasting.
  func summed(to target: [Int]) throws -> Tensor {
    if shape == target { return self }
    let missing = rank - target.count
    var axes = Array(0..<missing)
    for axis in target.indices where target[axis] == 1 && shape[axis + missing] != 1 {
      axes.append(axis + missing)
    }
    let reduced = axes.isEmpty ? self : try sum(axes: axes, keepDims: true)
    return try reduced.reshaped(target)
  }
}

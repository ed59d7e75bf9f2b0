import ApusDevice

extension Tensor {
  /// `condition ? a : b` for each element, all three broadcasting; `torch.where`.
  public static func select(where condition: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
    guard condition.dtype == .bool else {
      throw ApusError(
        .dtype, operation: "select",
        "the condition is \(condition.dtype), not bool; compare first, as in `x .> 0`")
    }
    var (a, b) = (a, b)
    if a.dtype != b.dtype {
      let dtype = try promoted(a.dtype, b.dtype, "select")
      (a, b) = (try a.to(dtype), try b.to(dtype))
    }
    let y = try ternary(.select, condition.detached, a, b, dtype: a.dtype)
    guard let tape = try Tape.watching(a, b) else { return y }
    let (wantsA, wantsB, aShape, bShape) = (a.isWatched, b.isWatched, a.shape, b.shape)
    let flags = condition.detached
    return try tape.record(y, from: [a, b]) { dy in
      let zero = try Tensor.full([], 0, dtype: dy.dtype, on: dy.device)
      return [
        wantsA ? try select(where: flags, dy, zero).summed(to: aShape) : nil,
        wantsB ? try select(where: flags, zero, dy).summed(to: bShape) : nil,
      ]
    }
  }

  /// `a · b + c` rounded once.
  public static func multiplyAdd(_ a: Tensor, _ b: Tensor, _ c: Tensor) throws -> Tensor {
    let y = try ternary(.multiplyAdd, a, b, c, dtype: .float32)
    guard let tape = try Tape.watching(a, b, c) else { return y }
    let wants = [a.isWatched, b.isWatched, c.isWatched]
    let (x, z, shape) = (a.detached, b.detached, c.shape)
    return try tape.record(y, from: [a, b, c]) { dy in
      [
        wants[0] ? try (dy * z).summed(to: x.shape) : nil,
        wants[1] ? try (dy * x).summed(to: z.shape) : nil,
        wants[2] ? try dy.summed(to: shape) : nil,
      ]
    }
  }

  /// `a + (b − a) · weight`.
  public static func lerp(_ a: Tensor, _ b: Tensor, _ weight: Tensor) throws -> Tensor {
    let y = try ternary(.lerp, a, b, weight, dtype: .float32)
    guard let tape = try Tape.watching(a, b, weight) else { return y }
    let wants = [a.isWatched, b.isWatched, weight.isWatched]
    let (p, q, w) = (a.detached, b.detached, weight.detached)
    return try tape.record(y, from: [a, b, weight]) { dy in
      [
        wants[0] ? try (dy * (1 - w)).summed(to: p.shape) : nil,
        wants[1] ? try (dy * w).summed(to: q.shape) : nil,
        wants[2] ? try (dy * (q - p)).summed(to: w.shape) : nil,
      ]
    }
  }

  private static func ternary(
    _ op: TernaryOp, _ a: Tensor, _ b: Tensor, _ c: Tensor, dtype: DType
  ) throws -> Tensor {
    let inner = try ShapeRule.broadcast(a.shape, b.shape, "\(op)")
    let shape = try ShapeRule.broadcast(inner, c.shape, "\(op)")
    if op != .select {
      for x in [a, b, c] where x.dtype != .float32 {
        throw ApusError(
          .dtype, operation: "\(op)", "takes float32, not \(x.dtype); cast with `to(.float32)`")
      }
    }
    return try elementwise(
      .ternary(op), [a, b, c].map { $0.viewed($0.operand.layout.broadcast(to: shape)) },
      dtype: dtype)
  }
}

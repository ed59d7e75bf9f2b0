import ApusDevice

extension Tensor {
  /// `exp(x) / Σ exp(x)` along an axis.
  public func softmax(axis: Int = -1) throws -> Tensor {
    try alongLast(axis, "softmax") { try $0.rows(.softmax, .softmaxBackward) }
  }

  /// `log(softmax(x))` along an axis, exact where the softmax would round to 0.
  public func logSoftmax(axis: Int = -1) throws -> Tensor {
    try alongLast(axis, "logSoftmax") { try $0.rows(.logSoftmax, .logSoftmaxBackward) }
  }

  private func rows(_ forward: Operation, _ backward: Operation) throws -> Tensor {
    let y = try Tensor.run(forward, detached, shape: shape, dtype: dtype)
    guard let tape = try Tape.watching(self) else { return y }
    return try tape.record(y, from: [self]) { dy in
      [try Tensor.run(backward, [y, dy], shape: dy.shape, dtype: dy.dtype)]
    }
  }

  /// Applies a function of the last axis to another axis.
  private func alongLast(
    _ axis: Int, _ name: String, _ body: (Tensor) throws -> Tensor
  ) throws -> Tensor {
    guard dtype == .float32 || dtype == .float64 else {
      throw ApusError(
        .dtype, operation: name, "takes float32, not \(dtype); cast with `to(.float32)`")
    }
    if rank == 0 { return try body(unsqueezed(axis: 0)).squeezed() }
    let index = try ShapeRule.axis(axis, rank: rank, name)
    if index == rank - 1 { return try body(self) }
    return try body(try transposed(index, -1).contiguous()).transposed(index, -1)
  }
}

import ApusDevice

extension Tensor {
  /// The matrix product by NumPy's rules: the last two axes multiply, the others broadcast; a vector
  /// counts as a row on the left and a column on the right. `float32` (`float64` where the device
  /// has it).
  public func matmul(_ other: Tensor) throws -> Tensor {
    guard rank > 0, other.rank > 0 else {
      throw ApusError(
        .shape, operation: "matmul", "shapes \(shape) and \(other.shape): a scalar has no product")
    }
    if rank == 1 {
      return try unsqueezed(axis: 0).matmul(other).squeezed(axis: other.rank == 1 ? 0 : -2)
    }
    if other.rank == 1 { return try matmul(other.unsqueezed(axis: 1)).squeezed(axis: -1) }
    guard dtype == other.dtype, dtype == .float32 || dtype == .float64 else {
      throw ApusError(
        .dtype, operation: "matmul",
        "takes float32 on both sides, not \(dtype) and \(other.dtype); cast with `to(.float32)`")
    }
    guard shape[rank - 1] == other.shape[other.rank - 2] else {
      throw ApusError(
        .shape, operation: "matmul",
        "shapes \(shape) and \(other.shape) do not multiply: the last axis of the first "
          + "(\(shape[rank - 1])) must equal the second-last of the second "
          + "(\(other.shape[other.rank - 2]))")
    }
    // Many rows times one matrix is one product, not a batch.
    if other.rank == 2, rank > 2 {
      return try flattened(end: -2).matmul(other).reshaped(
        Array(shape.dropLast()) + [other.shape[1]])
    }
    return try batchProduct(other)
  }

  private func batchProduct(_ other: Tensor) throws -> Tensor {
    let batch = try ShapeRule.broadcast(
      Array(shape.dropLast(2)), Array(other.shape.dropLast(2)), "matmul")
    let a = try broadcast(to: batch + shape.suffix(2)).flattenedBatch()
    let b = try other.broadcast(to: batch + other.shape.suffix(2)).flattenedBatch()
    let y = try Tensor.gemm(a.detached, b.detached)
    let target = batch + [shape[rank - 2], other.shape[other.rank - 1]]
    guard let tape = try Tape.watching(a, b) else { return try y.reshaped(target) }
    let (wantsA, wantsB) = (a.isWatched, b.isWatched)
    let (left, right) = (a.detached, b.detached)
    return try tape.record(y, from: [a, b]) { dy in
      [
        wantsA ? try Tensor.gemm(dy, try right.transposed()) : nil,
        wantsB ? try Tensor.gemm(try left.transposed(), dy) : nil,
      ]
    }.reshaped(target)
  }

  /// `[…, M, N]` as `[B, M, N]`; a batch of broadcast matrices stays a view with stride 0.
  private func flattenedBatch() throws -> Tensor {
    rank == 3 ? self : try reshaped([shape.dropLast(2).reduce(1, *)] + shape.suffix(2))
  }

  /// `[B, M, K] · [B, K, N]`, unrecorded.
  private static func gemm(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    try run(.gemm, [a, b], shape: [a.shape[0], a.shape[1], b.shape[2]], dtype: a.dtype)
  }

  /// `activation(x · weightᵀ + bias)` over the last axis in one operation.
  ///
  /// While gradients are recorded only activations whose derivative needs the output alone are
  /// fused; others run after it.
  /// - Parameters:
  ///   - weight: `[out, in]`, as PyTorch's.
  ///   - bias: `[out]`.
  /// - Returns: `[…, out]`.
  public func linear(
    _ weight: Tensor, bias: Tensor? = nil, activation: UnaryOp? = nil
  ) throws -> Tensor {
    guard rank > 0, weight.rank == 2, shape[rank - 1] == weight.shape[1] else {
      throw ApusError(
        .shape, operation: "linear",
        "input \(shape) does not fit weight \(weight.shape): the last axis of the input must be "
          + "the second axis of the weight")
    }
    if let bias, bias.shape != [weight.shape[0]] {
      throw ApusError(
        .shape, operation: "linear",
        "bias \(bias.shape) does not fit weight \(weight.shape); it must be [\(weight.shape[0])]")
    }
    for x in [self, weight] + (bias.map { [$0] } ?? []) where x.dtype != .float32 {
      throw ApusError(
        .dtype, operation: "linear", "takes float32, not \(x.dtype); cast with `to(.float32)`")
    }
    if rank != 2 {
      var rows = rank == 1 ? try unsqueezed(axis: 0) : try flattened(end: -2)
      if let chosenRows {
        rows.chosenRows = ChosenRows(
          table: chosenRows.table, indices: try chosenRows.indices.flattened())
      }
      return try rows.linear(weight, bias: bias, activation: activation)
        .reshaped(Array(shape.dropLast()) + [weight.shape[0]])
    }
    let tape = try Tape.watching([self, weight] + (bias.map { [$0] } ?? []))
    if let activation, tape != nil, activation.saved != .output {
      return try linear(weight, bias: bias).unary(activation)
    }
    if let chosenRows, chosenRows.areRepeated, activation == nil {
      return try linear(chosenRows, weight, bias, tape)
    }
    let inputs = [detached, weight.detached] + (bias.map { [$0.detached] } ?? [])
    let y = try Tensor.run(
      .linear(activation: activation), inputs, shape: [shape[0], weight.shape[0]],
      dtype: .float32)
    guard let tape else { return y }
    return try tape.record(
      y, from: [self, weight] + (bias.map { [$0] } ?? []),
      pullback: linearPullback(weight, bias, activation, y))
  }

  /// The same for a matrix of few different rows: the product of these, then the rows of that.
  private func linear(
    _ rows: ChosenRows, _ weight: Tensor, _ bias: Tensor?, _ tape: Tape?
  ) throws -> Tensor {
    let (table, indices) = (rows.table, rows.indices)
    var y = try table.detached.linear(weight.detached, bias: bias?.detached).take(indices)
    y.chosenRows = nil
    guard let tape else { return y }
    let size = [table.shape[0], weight.shape[0]]
    let pullback = table.linearPullback(weight, bias, nil, y)
    return try tape.record(
      y, from: [self, weight] + (bias.map { [$0] } ?? []),
      pullback: linearPullback(weight, bias, nil, y), past: table
    ) { dy in
      try pullback(
        try Tensor.zeros(size, on: dy.device).indexAdd(indices, dy, axis: 0))
    }
  }

  private func linearPullback(
    _ weight: Tensor, _ bias: Tensor?, _ activation: UnaryOp?, _ y: Tensor
  ) -> Tape.Pullback {
    let (wantsX, wantsW, wantsB) = (isWatched, weight.isWatched, bias?.isWatched ?? false)
    let (x, w) = (detached, weight.detached)
    return { dy in
      var dz = dy
      var db: Tensor?
      if let activation {
        dz = try Tensor.allocated(dy.shape, .float32, on: dy.device)
        if wantsB { db = try Tensor.allocated([w.shape[0]], .float32, on: dy.device) }
        try dy.device.backend.enqueue(
          Command(
            .linearActivationBackward(activation: activation),
            inputs: [y.operand, dy.operand],
            outputs: [dz.operand] + (db.map { [$0.operand] } ?? [])))
      } else if wantsB {
        db = try dy.sum(axis: 0)
      }
      let dx = wantsX ? try dz.product(w) : nil
      let dw = wantsW ? try dz.transposed().product(x) : nil
      return [dx, dw, db]
    }
  }

  /// The product of two matrices, unrecorded.
  private func product(_ other: Tensor) throws -> Tensor {
    func batched(_ x: Tensor) -> Tensor {
      let layout = x.operand.layout
      return x.viewed(
        Layout(shape: [1] + layout.shape, strides: [0] + layout.strides, offset: layout.offset))
    }
    let y = try Tensor.gemm(batched(self), batched(other))
    return y.viewed(Layout(contiguous: [shape[0], other.shape[1]]))
  }
}

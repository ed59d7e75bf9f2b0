import ApusDevice

extension Tensor {
  /// The parts at `indices` of an axis, in their order; the axis is replaced by the shape of
  /// `indices`. An index outside the axis is an error, at the latest when the result is read.
  public func take(_ indices: Tensor, axis: Int = 0) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "take")
    try indices.requireIndices("take")
    var flat = shape
    flat[index] = indices.count
    let positions = try indices.detached.flattened()
    let y = try Tensor.run(
      .take(axis: index), [detached, positions], shape: flat, dtype: dtype)
    let target = Array(shape[..<index]) + indices.shape + Array(shape[(index + 1)...])
    func shaped(_ rows: Tensor) throws -> Tensor {
      var result = try rows.reshaped(target)
      if rank == 2, index == 0 {
        result.chosenRows = ChosenRows(table: self, indices: indices.detached)
      }
      return result
    }
    guard let tape = try Tape.watching(self) else { return try shaped(y) }
    let original = shape
    let recorded = try tape.record(y, from: [self]) { dy in
      let zeros = try Tensor.zeros(original, dtype: dy.dtype, on: dy.device)
      return [try zeros.indexAdd(positions, dy, axis: index)]
    }
    return try shaped(recorded)
  }

  /// This tensor with `source[… i …]` added at `indices[i]` of an axis, in ascending `i`.
  public func indexAdd(_ indices: Tensor, _ source: Tensor, axis: Int = 0) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "indexAdd")
    try indices.requireIndices("indexAdd")
    var expected = shape
    expected[index] = indices.count
    guard indices.rank == 1, source.shape == expected, source.dtype == dtype else {
      throw ApusError(
        .shape, operation: "indexAdd",
        "indices \(indices.shape) and source \(source.dtype)\(source.shape) do not fit "
          + "\(dtype)\(shape) at axis \(index); the source must be \(expected)")
    }
    let positions = indices.detached
    let y = try Tensor.run(
      .indexAdd(axis: index), [detached, positions, source.detached], shape: shape, dtype: dtype)
    guard let tape = try Tape.watching(self, source) else { return y }
    let wants = (isWatched, source.isWatched)
    return try tape.record(y, from: [self, source]) { dy in
      [wants.0 ? dy : nil, wants.1 ? try dy.take(positions, axis: index) : nil]
    }
  }

  /// `torch.gather`: `out[i][j] = self[indices[i][j]][j]` for axis 0.
  public func gather(_ indices: Tensor, axis: Int) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "gather")
    try requireFit(indices, index, "gather")
    let positions = indices.detached
    let y = try Tensor.run(
      .gather(axis: index), [detached, positions], shape: indices.shape, dtype: dtype)
    guard let tape = try Tape.watching(self) else { return y }
    let original = shape
    return try tape.record(y, from: [self]) { dy in
      let zeros = try Tensor.zeros(original, dtype: dy.dtype, on: dy.device)
      return [try zeros.scatterAdd(positions, dy, axis: index)]
    }
  }

  /// `torch.scatter_add`: this tensor with `source[i][j]` added at `[indices[i][j]][j]` for axis 0.
  public func scatterAdd(_ indices: Tensor, _ source: Tensor, axis: Int) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "scatterAdd")
    try requireFit(indices, index, "scatterAdd")
    guard source.shape == indices.shape, source.dtype == dtype else {
      throw ApusError(
        .shape, operation: "scatterAdd",
        "source \(source.dtype)\(source.shape) must be \(dtype)\(indices.shape), as the indices")
    }
    let positions = indices.detached
    let y = try Tensor.run(
      .scatterAdd(axis: index), [detached, positions, source.detached], shape: shape, dtype: dtype)
    guard let tape = try Tape.watching(self, source) else { return y }
    let wants = (isWatched, source.isWatched)
    return try tape.record(y, from: [self, source]) { dy in
      [wants.0 ? dy : nil, wants.1 ? try dy.gather(positions, axis: index) : nil]
    }
  }

  /// The running sum along an axis.
  public func cumulativeSum(axis: Int) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "cumulativeSum")
    let x = dtype == .bool || dtype == .uint8 ? try to(.int32) : self
    let y = try Tensor.run(
      .cumulativeSum(axis: index), x.detached, shape: shape, dtype: x.dtype)
    guard let tape = try Tape.watching(x) else { return y }
    return try tape.record(y, from: [x]) { dy in
      [try dy.flipped(axis: index).cumulativeSum(axis: index).flipped(axis: index)]
    }
  }

  /// The elements of an axis in reverse order.
  public func flipped(axis: Int) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "flipped")
    let positions = (0..<shape[index]).reversed().map { Int32(truncatingIfNeeded: $0) }
    return try take(try Tensor(positions, on: device), axis: index)
  }

  /// The elements of an axis in order, with the positions they came from. Stable; NaN counts as
  /// largest.
  public func sorted(
    axis: Int = -1, descending: Bool = false
  ) throws -> (values: Tensor, indices: Tensor) {
    let index = try ShapeRule.axis(axis, rank: rank, "sorted")
    return try ordered(.sort(axis: index, descending: descending), index, shape[index])
  }

  /// The `k` largest (or smallest) elements of an axis in order, with their positions.
  public func topK(
    _ k: Int, axis: Int = -1, largest: Bool = true
  ) throws -> (values: Tensor, indices: Tensor) {
    let index = try ShapeRule.axis(axis, rank: rank, "topK")
    guard k >= 0, k <= shape[index] else {
      throw ApusError(
        .value, operation: "topK",
        "k is \(k); axis \(index) of shape \(shape) allows 0...\(shape[index])")
    }
    return try ordered(.topK(k: k, axis: index, largest: largest), index, k)
  }

  private func ordered(
    _ operation: Operation, _ axis: Int, _ length: Int
  ) throws -> (values: Tensor, indices: Tensor) {
    let x = dtype == .bool || dtype == .uint8 ? try to(.int32) : self
    var target = shape
    target[axis] = length
    let values = try Tensor.allocated(target, x.dtype, on: device)
    let indices = try Tensor.allocated(target, .int32, on: device)
    try device.backend.enqueue(
      Command(operation, inputs: [x.operand], outputs: [values.operand, indices.operand]))
    guard let tape = try Tape.watching(x) else { return (values, indices) }
    let original = shape
    let recorded = try tape.record(values, from: [x]) { dy in
      let zeros = try Tensor.zeros(original, dtype: dy.dtype, on: dy.device)
      return [try zeros.scatterAdd(indices, dy, axis: axis)]
    }
    return (recorded, indices)
  }

  private func requireIndices(_ operation: String) throws {
    guard dtype == .int32 else {
      throw ApusError(
        .dtype, operation: operation, "indices are \(dtype), not int32; cast with `to(.int32)`")
    }
  }

  private func requireFit(_ indices: Tensor, _ axis: Int, _ operation: String) throws {
    try indices.requireIndices(operation)
    let fits =
      indices.rank == rank
      && shape.indices.allSatisfy { $0 == axis || indices.shape[$0] <= shape[$0] }
    guard fits else {
      throw ApusError(
        .shape, operation: operation,
        "indices \(indices.shape) do not fit \(shape): same number of axes, and no extent larger "
          + "except along axis \(axis)")
    }
  }
}

import ApusDevice

extension Tensor {
  /// The sum over `axes` (all for nil); 0 for no elements. `bool` and `uint8` are counted in `int32`.
  public func sum(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
    let x = dtype == .bool || dtype == .uint8 ? try to(.int32) : self
    return try x.reduced(.sum, axes, keepDims) { dy, x, _, _ in
      x.viewedBroadcast(dy)
    }
  }
  public func sum(axis: Int, keepDims: Bool = false) throws -> Tensor {
    try sum(axes: [axis], keepDims: keepDims)
  }

  /// The mean over `axes` (all for nil); NaN for no elements. Integers become `float32`.
  public func mean(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
    let x = dtype.isFloatingPoint ? self : try to(.float32)
    return try x.reduced(.mean, axes, keepDims) { dy, x, _, count in
      x.viewedBroadcast(try dy / Double(count))
    }
  }
  public func mean(axis: Int, keepDims: Bool = false) throws -> Tensor {
    try mean(axes: [axis], keepDims: keepDims)
  }

  /// The largest element over `axes` (all for nil); NaN spreads. Ties share the gradient.
  public func max(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
    try extreme(.maximum, axes, keepDims)
  }
  public func max(axis: Int, keepDims: Bool = false) throws -> Tensor {
    try max(axes: [axis], keepDims: keepDims)
  }

  /// The smallest element over `axes` (all for nil); NaN spreads. Ties share the gradient.
  public func min(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
    try extreme(.minimum, axes, keepDims)
  }
  public func min(axis: Int, keepDims: Bool = false) throws -> Tensor {
    try min(axes: [axis], keepDims: keepDims)
  }

  /// The variance over `axes`; `correction` 1 (Bessel's) as in PyTorch, 0 for the biased one.
  public func variance(
    axes: [Int]? = nil, correction: Int = 1, keepDims: Bool = false
  ) throws -> Tensor {
    let list = try ShapeRule.axes(axes, rank: rank, "variance")
    let samples = list.reduce(1) { $0 * shape[$1] }
    let centered = try self - mean(axes: list, keepDims: true)
    return try centered.square().sum(axes: list, keepDims: keepDims)
      / Double(Swift.max(samples - correction, 0))
  }

  /// The square root of ``variance(axes:correction:keepDims:)``.
  public func standardDeviation(
    axes: [Int]? = nil, correction: Int = 1, keepDims: Bool = false
  ) throws -> Tensor {
    try variance(axes: axes, correction: correction, keepDims: keepDims).sqrt()
  }

  /// `log Σ exp(x)` over one axis without overflow.
  public func logSumExp(axis: Int, keepDims: Bool = false) throws -> Tensor {
    let top = try detached.max(axis: axis, keepDims: true)
    // An infinite maximum would give ∞ − ∞.
    let shift = try Tensor.select(where: top.isFinite(), top, .zeros(like: top))
    let sum = try (self - shift).exp().sum(axis: axis, keepDims: true).log() + shift
    return keepDims ? sum : try sum.squeezed(axis: axis)
  }

  /// The position of the first largest element along `axis`, or in row-major order for nil; a NaN
  /// counts as largest. `int32`.
  public func argMax(axis: Int? = nil, keepDims: Bool = false) throws -> Tensor {
    try argReduced(.maximum, axis, keepDims, "argMax")
  }

  /// The position of the first smallest element, as ``argMax(axis:keepDims:)``.
  public func argMin(axis: Int? = nil, keepDims: Bool = false) throws -> Tensor {
    try argReduced(.minimum, axis, keepDims, "argMin")
  }

  /// Whether every element is true.
  public func all() throws -> Tensor { try to(.bool).to(.int32).min().to(.bool) }
  /// Whether any element is true.
  public func any() throws -> Tensor { try to(.bool).to(.int32).sum() .> 0 }

  // MARK: Shared

  private func extreme(_ op: ReduceOp, _ axes: [Int]?, _ keepDims: Bool) throws -> Tensor {
    let list = try ShapeRule.axes(axes, rank: rank, op.name)
    if let axis = list.first(where: { shape[$0] == 0 }) {
      throw ApusError(
        .shape, operation: op.name,
        "axis \(axis) of shape \(shape) is empty, and nothing has no \(op)")
    }
    let x = dtype == .bool || dtype == .uint8 ? try to(.int32) : self
    return try x.reduced(op, axes, keepDims) { dy, x, y, _ in
      let ties = try x.compare(.equal, y).to(dy.dtype)
      return try ties * (dy / ties.sum(axes: list, keepDims: true))
    }
  }

  /// Reduces and records. `gradient` gets `dy` and the result with the axes kept, the input, and how
  /// many elements met in one.
  private func reduced(
    _ op: ReduceOp, _ axes: [Int]?, _ keepDims: Bool,
    _ gradient: @escaping @Sendable (Tensor, Tensor, Tensor, Int) throws -> Tensor
  ) throws -> Tensor {
    let list = try ShapeRule.axes(axes, rank: rank, op.name)
    if dtype == .float16 || dtype == .bfloat16 { _ = try Tensor.promoted(dtype, dtype, op.name) }
    var shape = shape
    for axis in list { shape[axis] = 1 }
    let kept = shape
    let whole = list.isEmpty
    let y =
      whole
      ? detached : try Tensor.run(.reduce(op, axes: list), detached, shape: kept, dtype: dtype)
    let squeezed = keepDims ? kept : kept.indices.filter { !list.contains($0) }.map { kept[$0] }
    let out = y.viewed(whole ? y.operand.layout : Layout(contiguous: squeezed))
    guard let tape = try Tape.watching(self) else { return out }
    let saved = detached
    let met = list.reduce(1) { $0 * saved.shape[$1] }
    return try tape.record(out, from: [self]) { dy in
      [try gradient(try dy.reshaped(kept), saved, y, met)]
    }
  }

  /// `other` repeated to this tensor's shape.
  private func viewedBroadcast(_ other: Tensor) -> Tensor {
    other.viewed(other.operand.layout.broadcast(to: shape))
  }

  private func argReduced(
    _ op: ArgReduceOp, _ axis: Int?, _ keepDims: Bool, _ name: String
  ) throws -> Tensor {
    guard let axis else {
      let flat = try detached.flattened().argReduced(op, 0, true, name)
      return try flat.reshaped(keepDims ? shape.map { _ in 1 } : [])
    }
    let index = try ShapeRule.axis(axis, rank: rank, name)
    guard shape[index] > 0 else {
      throw ApusError(
        .shape, operation: name,
        "axis \(index) of shape \(shape) is empty, and nothing has no \(op)")
    }
    let x =
      dtype == .float32 || dtype == .int32 || dtype == .float64
      ? detached
      : try detached.to(
        dtype.isFloatingPoint ? .float32 : .int32)
    var kept = shape
    kept[index] = 1
    let y = try Tensor.run(.argReduce(op, axis: index), x, shape: kept, dtype: .int32)
    return keepDims ? y : try y.squeezed(axis: index)
  }
}

extension ReduceOp {
  fileprivate var name: String {
    switch self {
    case .sum: "sum"
    case .mean: "mean"
    case .maximum: "max"
    case .minimum: "min"
    }
  }
}

import ApusDevice

extension Tensor {
  /// The largest element of each window of images `[N, C, H, W]`; a NaN counts as largest.
  /// - Parameters:
  ///   - stride: That of the kernel for nil.
  ///   - padding: Never counts; at most half of what the kernel spans.
  ///   - ceilMode: Whether a last window may hang over the end.
  /// - Returns: `[N, C, OH, OW]`. Where elements tie, the first has the gradient.
  public func maxPool2d(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1), ceilMode: Bool = false
  ) throws -> Tensor {
    try maxPooled(
      try ShapeRule.maximum(
        "maxPool2d", kernelSize, stride ?? kernelSize, padding, dilation, self, ceilMode))
  }

  /// ``maxPool2d(kernelSize:stride:padding:dilation:ceilMode:)`` with the place of each largest
  /// element in its plane, `h · W + w`, as `int32`.
  public func maxPool2dWithIndices(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1), ceilMode: Bool = false
  ) throws -> (values: Tensor, indices: Tensor) {
    try maxPooledWithIndices(
      try ShapeRule.maximum(
        "maxPool2dWithIndices", kernelSize, stride ?? kernelSize, padding, dilation, self, ceilMode)
    )
  }

  /// ``maxPool2d(kernelSize:stride:padding:dilation:ceilMode:)`` of sequences `[N, C, L]`.
  public func maxPool1d(
    kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1,
    ceilMode: Bool = false
  ) throws -> Tensor {
    let x = try asRowImages("maxPool1d")
    return try x.maxPooled(
      try ShapeRule.maximum(
        "maxPool1d", (1, kernelSize), (1, stride ?? kernelSize), (0, padding), (1, dilation), x,
        ceilMode)
    ).squeezed(axis: 2)
  }

  /// `[N, C, L]` as `[N, C, 1, L]`.
  func asRowImages(_ operation: String) throws -> Tensor {
    guard rank == 3 else {
      throw ApusError(
        .shape, operation: operation, "takes sequences [N, C, L], not shape \(shape)")
    }
    return try unsqueezed(axis: 2)
  }

  private func maxPooled(_ rule: (window: Window, output: [Int])) throws -> Tensor {
    // Only the gradient needs to know where the largest elements are.
    if isWatched { return try maxPooledWithIndices(rule).values }
    let y = try Tensor.featureMap(rule.output, dtype, on: device)
    try device.backend.enqueue(
      Command(.maxPool(rule.window), inputs: [operand], outputs: [y.operand]))
    return y
  }

  private func maxPooledWithIndices(
    _ rule: (window: Window, output: [Int])
  ) throws -> (values: Tensor, indices: Tensor) {
    let (window, output) = rule
    let y = try Tensor.featureMap(output, dtype, on: device)
    let indices = try Tensor.featureMap(output, .int32, on: device)
    try device.backend.enqueue(
      Command(.maxPool(window), inputs: [operand], outputs: [y.operand, indices.operand]))
    guard let tape = try Tape.watching(self) else { return (y, indices) }
    let original = shape
    let recorded = try tape.record(y, from: [self]) { dy in
      let dx = try Tensor.featureMap(original, dy.dtype, on: dy.device)
      try dy.device.backend.enqueue(
        Command(
          .maxPoolBackward(window), inputs: [dy.operand, indices.operand], outputs: [dx.operand]))
      return [dx]
    }
    return (recorded, indices)
  }
}

extension ShapeRule {
  /// The window of a maximum, and the shape that it gives.
  fileprivate static func maximum(
    _ operation: String, _ kernel: (Int, Int), _ stride: (Int, Int), _ padding: (Int, Int),
    _ dilation: (Int, Int), _ x: Tensor, _ ceilMode: Bool
  ) throws -> (window: Window, output: [Int]) {
    try floats([x], operation)
    let window = try window(
      operation, kernel: kernel, stride: stride, dilation: dilation, top: padding.0,
      bottom: padding.0, left: padding.1, right: padding.1)
    guard padding.0 <= window.spanHeight / 2, padding.1 <= window.spanWidth / 2 else {
      throw ApusError(
        .value, operation: operation,
        "padding (\(padding.0), \(padding.1)) is more than half of what the kernel spans, "
          + "(\(window.spanHeight), \(window.spanWidth))")
    }
    let output = try slid(
      window, over: x.shape, channels: x.rank == 4 ? x.shape[1] : 0, ceilMode: ceilMode, operation)
    for axis in 2...3 {
      let isHeight = axis == 2
      let step = isHeight ? dilation.0 : dilation.1
      // A dilated kernel may step over a small image and meet padding alone.
      guard step > x.shape[axis], isHeight ? padding.0 > 0 : padding.1 > 0 else { continue }
      for position in 0..<output[axis] {
        let start = isHeight ? position * stride.0 - padding.0 : position * stride.1 - padding.1
        let first = start < 0 ? start + (-start + step - 1) / step * step : start
        guard first < x.shape[axis],
          first - start < (isHeight ? window.spanHeight : window.spanWidth)
        else {
          throw ApusError(
            .value, operation: operation,
            "the dilated window at position \(position) of axis \(axis) meets padding alone; pad less"
          )
        }
      }
    }
    return (window, output)
  }
}

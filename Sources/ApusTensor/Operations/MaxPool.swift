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
    let window = try ShapeRule.maxWindow(
      "maxPool2d", kernelSize, stride, padding, dilation, shape, ceilMode)
    return try maxPooled(window, ceilMode, "maxPool2d", hasIndices: false).values
  }

  /// ``maxPool2d(kernelSize:stride:padding:dilation:ceilMode:)`` with the place of each largest
  /// element in its plane, `h · W + w`, as `int32`.
  public func maxPool2dWithIndices(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1), ceilMode: Bool = false
  ) throws -> (values: Tensor, indices: Tensor) {
    let name = "maxPool2dWithIndices"
    let window = try ShapeRule.maxWindow(
      name, kernelSize, stride, padding, dilation, shape, ceilMode)
    let (values, indices) = try maxPooled(window, ceilMode, name, hasIndices: true)
    return (values, try indices ?? .zeros(values.shape, dtype: .int32, on: device))
  }

  /// ``maxPool2d(kernelSize:stride:padding:dilation:ceilMode:)`` of sequences `[N, C, L]`.
  public func maxPool1d(
    kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1,
    ceilMode: Bool = false
  ) throws -> Tensor {
    let x = try asRowImages("maxPool1d")
    let window = try ShapeRule.maxWindow(
      "maxPool1d", (1, kernelSize), (1, stride ?? kernelSize), (0, padding), (1, dilation),
      x.shape, ceilMode)
    return try x.maxPooled(window, ceilMode, "maxPool1d", hasIndices: false).values
      .squeezed(axis: 2)
  }

  /// `[N, C, L]` as `[N, C, 1, L]`.
  func asRowImages(_ operation: String) throws -> Tensor {
    guard rank == 3 else {
      throw ApusError(
        .shape, operation: operation, "takes sequences [N, C, L], not shape \(shape)")
    }
    return try unsqueezed(axis: 2)
  }

  private func maxPooled(
    _ window: Window, _ ceilMode: Bool, _ name: String, hasIndices: Bool
  ) throws -> (values: Tensor, indices: Tensor?) {
    try ShapeRule.floats([self], name)
    let output = try ShapeRule.slid(
      window, over: shape, channels: shape[1], ceilMode: ceilMode, name)
    let tape = try Tape.watching(self)
    let y = try Tensor.featureMap(output, dtype, on: device)
    let indices =
      hasIndices || tape != nil ? try Tensor.featureMap(output, .int32, on: device) : nil
    try device.backend.enqueue(
      Command(
        .maxPool(window), inputs: [operand],
        outputs: [y.operand] + (indices.map { [$0.operand] } ?? [])))
    guard let tape, let indices else { return (y, indices) }
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
  fileprivate static func maxWindow(
    _ operation: String, _ kernel: (Int, Int), _ stride: (Int, Int)?, _ padding: (Int, Int),
    _ dilation: (Int, Int), _ input: [Int], _ ceilMode: Bool
  ) throws -> Window {
    let window = try window(
      operation, kernel: kernel, stride: stride ?? kernel, dilation: dilation, top: padding.0,
      bottom: padding.0, left: padding.1, right: padding.1)
    guard padding.0 <= window.spanHeight / 2, padding.1 <= window.spanWidth / 2 else {
      throw ApusError(
        .value, operation: operation,
        "padding (\(padding.0), \(padding.1)) is more than half of what the kernel spans, "
          + "(\(window.spanHeight), \(window.spanWidth))")
    }
    // A dilated kernel may step over a small image and meet padding alone.
    let output = try slid(window, over: input, channels: 1, ceilMode: ceilMode, operation)
    let axes = [
      (output[2], kernel.0, stride ?? kernel, dilation.0, padding.0, input[2]),
      (output[3], kernel.1, stride ?? kernel, dilation.1, padding.1, input[3]),
    ]
    for (axis, (extent, kernel, strides, dilation, padding, input)) in axes.enumerated()
    where dilation > 1 && padding > 0 {
      let stride = axis == 0 ? strides.0 : strides.1
      for o in 0..<extent {
        let start = o * stride - padding
        let first = start < 0 ? (-start + dilation - 1) / dilation : 0
        guard first < kernel, start + first * dilation < input else {
          throw ApusError(
            .value, operation: operation,
            "the dilated window at position \(o) of axis \(axis + 2) meets padding alone; pad less")
        }
      }
    }
    return window
  }
}

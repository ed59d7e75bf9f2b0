import ApusDevice

extension Tensor {
  /// The transposed convolution (the input gradient of a convolution) of images `[N, C, H, W]`:
  /// every pixel spreads its kernel, so a stride enlarges the image.
  /// - Parameters:
  ///   - weight: `[C, O / groups, KH, KW]`.
  ///   - bias: `[O]`.
  ///   - padding: So much of the result is cut off on each side.
  ///   - outputPadding: Added at the bottom and the right of the result; less than stride or dilation.
  /// - Returns: `[N, O, OH, OW]`,
  ///   `OH = (H − 1) · stride − 2 · padding + dilation · (KH − 1) + outputPadding + 1`.
  public func convTranspose2d(
    weight: Tensor, bias: Tensor? = nil, stride: (Int, Int) = (1, 1), padding: (Int, Int) = (0, 0),
    outputPadding: (Int, Int) = (0, 0), dilation: (Int, Int) = (1, 1), groups: Int = 1
  ) throws -> Tensor {
    try transposeConvolved(
      weight, bias, stride, padding, outputPadding, dilation, groups, "convTranspose2d")
  }

  /// ``convTranspose2d(weight:bias:stride:padding:outputPadding:dilation:groups:)`` of sequences
  /// `[N, C, L]` with a weight `[C, O / groups, K]`.
  public func convTranspose1d(
    weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
    dilation: Int = 1, groups: Int = 1
  ) throws -> Tensor {
    guard rank == 3, weight.rank == 3 else {
      throw ApusError(
        .shape, operation: "convTranspose1d",
        "takes sequences [N, C, L] and a weight [C, O / groups, K], not \(shape) and "
          + "\(weight.shape)")
    }
    return try unsqueezed(axis: 2).transposeConvolved(
      weight.unsqueezed(axis: 2), bias, (1, stride), (0, padding), (0, outputPadding),
      (1, dilation), groups, "convTranspose1d"
    ).squeezed(axis: 2)
  }

  private func transposeConvolved(
    _ weight: Tensor, _ bias: Tensor?, _ stride: (Int, Int), _ padding: (Int, Int),
    _ outputPadding: (Int, Int), _ dilation: (Int, Int), _ groups: Int, _ name: String
  ) throws -> Tensor {
    guard rank == 4, weight.rank == 4, weight.count > 0, shape[2] > 0, shape[3] > 0,
      shape[1] == weight.shape[0], groups > 0, shape[1] % groups == 0
    else {
      throw ApusError(
        .shape, operation: name,
        "input \(shape) and weight \(weight.shape) do not fit \(groups) groups: images [N, C, H, W] "
          + "take a weight [C, O / groups, KH, KW], C a multiple of the groups")
    }
    let window = try ShapeRule.window(
      name, kernel: (weight.shape[2], weight.shape[3]), stride: stride, dilation: dilation,
      top: padding.0, bottom: padding.0, left: padding.1, right: padding.1)
    let channels = weight.shape[1] * groups
    let output = [
      shape[0], channels,
      try ShapeRule.spread(
        shape[2], span: window.spanHeight, stride.0, dilation.0, padding.0, outputPadding.0, name),
      try ShapeRule.spread(
        shape[3], span: window.spanWidth, stride.1, dilation.1, padding.1, outputPadding.1, name),
    ]
    _ = try ShapeRule.count(output, name)
    _ = try ShapeRule.slid(window, over: output, channels: shape[1], name)
    if let bias, bias.shape != [channels] {
      throw ApusError(
        .shape, operation: name,
        "bias \(bias.shape) does not fit weight \(weight.shape) with \(groups) groups; it must be "
          + "[\(channels)]")
    }
    try ShapeRule.floats([self, weight] + (bias.map { [$0] } ?? []), name)
    let convolution = Convolution(window, groups: groups)
    _ = try Tensor.commonDevice([self, weight], .convolutionInputGradient(convolution))

    var y = try Tensor.featureMap(output, convolution, weight: weight, like: self)
    try convolutionInputGradient(weight, convolution, to: y)
    if let tape = try Tape.watching(self, weight) {
      let (x, w) = (detached, weight.detached)
      let (wantsX, wantsW) = (isWatched, weight.isWatched)
      y = try tape.record(y, from: [self, weight]) { dy in
        var dx: Tensor?
        if wantsX {
          let map = try Tensor.featureMap(x.shape, dy.dtype, on: dy.device)
          try dy.device.backend.enqueue(
            Command(
              .convolution(convolution, activation: nil), inputs: [dy.operand, w.operand],
              outputs: [map.operand]))
          dx = map
        }
        let dw =
          wantsW
          ? try dy.convolutionWeightGradient(x, convolution, shape: w.shape, hasBias: false)[0]
          : nil
        return [dx, dw]
      }
    }
    guard let bias else { return y }
    return try y + bias.reshaped([channels, 1, 1])
  }
}

extension ShapeRule {
  /// The extent that a transposed convolution gives.
  fileprivate static func spread(
    _ extent: Int, span: Int, _ stride: Int, _ dilation: Int, _ padding: Int, _ outputPadding: Int,
    _ operation: String
  ) throws -> Int {
    guard outputPadding >= 0, outputPadding < Swift.max(stride, dilation) else {
      throw ApusError(
        .value, operation: operation,
        "output padding \(outputPadding) must be less than stride \(stride) or dilation \(dilation)"
      )
    }
    guard extent <= longestWindow else {
      throw ApusError(
        .shape, operation: operation, "extent \(extent) exceeds \(longestWindow)")
    }
    let length = (extent - 1) * stride - 2 * padding + span + outputPadding
    guard length > 0 else {
      throw ApusError(
        .shape, operation: operation,
        "padding \(padding) cuts off all of the result; it must be smaller")
    }
    return length
  }
}

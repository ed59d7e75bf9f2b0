import ApusDevice

/// What surrounds the images of a convolution: zeros.
public enum ConvolutionPadding: Sendable, Hashable {
  case valid
  /// As many as keep height and width; the stride must be 1. An odd number puts one more at the
  /// bottom and the right.
  case same
  /// So many on both sides.
  case zeros(height: Int, width: Int)
  case sides(top: Int, bottom: Int, left: Int, right: Int)
}

extension Tensor {
  /// `activation(x ∗ weight + bias + addend)` over images `[N, C, H, W]`, in one operation: a
  /// cross-correlation, as networks mean it.
  ///
  /// While gradients are recorded only activations whose derivative needs the output alone are
  /// fused; others run after it.
  /// - Parameters:
  ///   - weight: `[O, C / groups, KH, KW]`.
  ///   - bias: `[O]`.
  ///   - groups: Channels fall into so many groups that do not mix; with `C` of them and
  ///     `O = C · multiplier` the convolution is depthwise.
  ///   - addend: Of the output's shape: the shortcut of a residual block.
  /// - Returns: `[N, O, OH, OW]`, `OH = ⌊(H + padding − dilation · (KH − 1) − 1) / stride⌋ + 1`.
  /// - Throws: ``ApusError`` for shapes that do not fit and for a kernel larger than the padded image.
  public func conv2d(
    weight: Tensor, bias: Tensor? = nil, stride: (Int, Int) = (1, 1),
    padding: ConvolutionPadding = .valid, dilation: (Int, Int) = (1, 1), groups: Int = 1,
    activation: UnaryOp? = nil, addend: Tensor? = nil
  ) throws -> Tensor {
    try convolved(
      weight, bias, stride, padding, dilation, groups, activation, addend, "conv2d")
  }

  /// ``conv2d(weight:bias:stride:padding:dilation:groups:activation:addend:)`` over sequences
  /// `[N, C, L]`.
  /// - Parameters:
  ///   - weight: `[O, C / groups, K]`.
  ///   - padding: Its height must be 0.
  /// - Returns: `[N, O, OL]`.
  public func conv1d(
    weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: ConvolutionPadding = .valid,
    dilation: Int = 1, groups: Int = 1, activation: UnaryOp? = nil
  ) throws -> Tensor {
    guard rank == 3, weight.rank == 3 else {
      throw ApusError(
        .shape, operation: "conv1d",
        "takes sequences [N, C, L] and a weight [O, C / groups, K], not \(shape) and "
          + "\(weight.shape)")
    }
    return try unsqueezed(axis: 2).convolved(
      weight.unsqueezed(axis: 2), bias, (1, stride), padding, (1, dilation), groups, activation,
      nil, "conv1d"
    ).squeezed(axis: 2)
  }

  private func convolved(
    _ weight: Tensor, _ bias: Tensor?, _ stride: (Int, Int), _ padding: ConvolutionPadding,
    _ dilation: (Int, Int), _ groups: Int, _ activation: UnaryOp?, _ addend: Tensor?,
    _ name: String
  ) throws -> Tensor {
    guard rank == 4, weight.rank == 4 else {
      throw ApusError(
        .shape, operation: name,
        "takes images [N, C, H, W] and a weight [O, C / groups, KH, KW], not \(shape) and "
          + "\(weight.shape)")
    }
    let outputs = weight.shape[0]
    guard groups > 0, outputs > 0, weight.shape[1] > 0, shape[1] % groups == 0,
      weight.shape[1] == shape[1] / groups, outputs % groups == 0
    else {
      throw ApusError(
        .shape, operation: name,
        "input \(shape) and weight \(weight.shape) do not fit \(groups) groups: the weight's second "
          + "axis must be the input's channels over the groups, and its first a multiple of the groups"
      )
    }
    let window = try padding.window(
      kernel: (weight.shape[2], weight.shape[3]), stride: stride, dilation: dilation, name)
    let output = try ShapeRule.slid(window, over: shape, channels: outputs, name)
    if let bias, bias.shape != [outputs] {
      throw ApusError(
        .shape, operation: name,
        "bias \(bias.shape) does not fit weight \(weight.shape); it must be [\(outputs)]")
    }
    if let addend, addend.shape != output {
      throw ApusError(
        .shape, operation: name,
        "the addend \(addend.shape) does not have the shape of the output, \(output)")
    }
    try ShapeRule.floats([self, weight] + [bias, addend].compactMap { $0 }, name)
    return try convolved(
      weight, bias, Convolution(window, groups: groups), output, activation, addend)
  }

  private func convolved(
    _ weight: Tensor, _ bias: Tensor?, _ convolution: Convolution, _ output: [Int],
    _ activation: UnaryOp?, _ addend: Tensor?
  ) throws -> Tensor {
    // The operation takes an addend only together with a bias.
    let bias =
      bias == nil && addend != nil
      ? try Tensor.zeros([output[1]], dtype: dtype, on: device) : bias
    let inputs = [self, weight] + [bias, addend].compactMap { $0 }
    let tape = try Tape.watching(inputs)
    if let activation, tape != nil, activation.saved != .output {
      return try convolved(weight, bias, convolution, output, nil, addend).unary(activation)
    }
    let operation = Operation.convolution(convolution, activation: activation)
    _ = try Tensor.commonDevice(inputs, operation)
    let y = try Tensor.featureMap(output, convolution, weight: weight, like: self)
    try device.backend.enqueue(
      Command(operation, inputs: inputs.map(\.operand), outputs: [y.operand]))
    guard let tape else { return y }
    let (x, w, saved) = (detached, weight.detached, activation == nil ? nil : y)
    let (wantsX, wantsW) = (isWatched, weight.isWatched)
    let (hasBias, wantsB) = (bias != nil, bias?.isWatched ?? false)
    let (hasAddend, wantsAddend) = (addend != nil, addend?.isWatched ?? false)
    return try tape.record(y, from: inputs) { dy in
      var dz = dy
      if let activation, let saved {
        dz = try Tensor.elementwise(.unaryBackward(activation), [saved, dy], dtype: dy.dtype)
      }
      var (dx, dw, db): (Tensor?, Tensor?, Tensor?) = (nil, nil, nil)
      switch (wantsX, wantsW) {
      case (true, true):
        let gradients = try x.convolutionBackward(dz, w, convolution, hasBias: wantsB)
        (dx, dw, db) = (gradients[0], gradients[1], wantsB ? gradients[2] : nil)
      case (false, true):
        let gradients = try x.convolutionWeightGradient(
          dz, convolution, shape: w.shape, hasBias: wantsB)
        (dw, db) = (gradients[0], wantsB ? gradients[1] : nil)
      case (_, false):
        if wantsX {
          let gradient = try Tensor.featureMap(x.shape, convolution, weight: w, like: x)
          try dz.convolutionInputGradient(w, convolution, to: gradient)
          dx = gradient
        }
        if wantsB { db = try dz.sum(axes: [0, 2, 3]) }
      }
      return [dx, dw] + (hasBias ? [db] : []) + (hasAddend ? [wantsAddend ? dz : nil] : [])
    }
  }

  /// From the gradient of a convolution's output that of its input, unrecorded.
  func convolutionInputGradient(
    _ weight: Tensor, _ convolution: Convolution, to dx: Tensor
  ) throws {
    try device.backend.enqueue(
      Command(
        .convolutionInputGradient(convolution), inputs: [operand, weight.operand],
        outputs: [dx.operand]))
  }

  /// From the input of a convolution, the gradient of its output and its weight the gradients of input,
  /// weight and bias, unrecorded.
  private func convolutionBackward(
    _ dy: Tensor, _ weight: Tensor, _ convolution: Convolution, hasBias: Bool
  ) throws -> [Tensor] {
    var gradients = [
      try Tensor.featureMap(shape, convolution, weight: weight, like: self),
      try Tensor.allocated(weight.shape, dtype, on: device),
    ]
    if hasBias { gradients.append(try Tensor.allocated([weight.shape[0]], dtype, on: device)) }
    try device.backend.enqueue(
      Command(
        .convolutionBackward(convolution), inputs: [operand, dy.operand, weight.operand],
        outputs: gradients.map(\.operand)))
    return gradients
  }

  /// From input and gradient of the output the gradients of weight and bias, unrecorded.
  func convolutionWeightGradient(
    _ dy: Tensor, _ convolution: Convolution, shape: [Int], hasBias: Bool
  ) throws -> [Tensor] {
    var gradients = [try Tensor.allocated(shape, dtype, on: device)]
    if hasBias { gradients.append(try Tensor.allocated([shape[0]], dtype, on: device)) }
    try device.backend.enqueue(
      Command(
        .convolutionWeightGradient(convolution), inputs: [operand, dy.operand],
        outputs: gradients.map(\.operand)))
    return gradients
  }
}

extension ConvolutionPadding {
  fileprivate func window(
    kernel: (Int, Int), stride: (Int, Int), dilation: (Int, Int), _ operation: String
  ) throws -> Window {
    var sides = (top: 0, bottom: 0, left: 0, right: 0)
    switch self {
    case .valid: break
    case .zeros(let height, let width): sides = (height, height, width, width)
    case .sides(let top, let bottom, let left, let right): sides = (top, bottom, left, right)
    case .same:
      guard stride == (1, 1) else {
        throw ApusError(
          .value, operation: operation,
          "padding `same` needs stride 1, not (\(stride.0), \(stride.1)); give the padding in numbers"
        )
      }
      // Checked once without padding: the numbers are small enough to be multiplied.
      let window = try ConvolutionPadding.valid.window(
        kernel: kernel, stride: stride, dilation: dilation, operation)
      let (height, width) = (window.spanHeight - 1, window.spanWidth - 1)
      sides = (height / 2, height - height / 2, width / 2, width - width / 2)
    }
    if operation == "conv1d", sides.top != 0 || sides.bottom != 0 {
      throw ApusError(
        .value, operation: operation,
        "sequences have no height to pad; pad the width alone, as in `.zeros(height: 0, width: 1)`")
    }
    return try ShapeRule.window(
      operation, kernel: kernel, stride: stride, dilation: dilation, top: sides.top,
      bottom: sides.bottom, left: sides.left, right: sides.right)
  }
}

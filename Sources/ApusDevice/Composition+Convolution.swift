// A convolution as matrix products (Chellapilla, Puri, Simard 2006). For one image and one group
//
//   columns[C/G · KH · KW, OH · OW]   the window under each output pixel, one column each
//   y       = weight[O/G, C/G · KH · KW] · columns
//   dcolumns = weightᵀ · dy           each column added back to where it was taken from
//   dweight  = dy · columnsᵀ          summed over the images
//
// Image after image, so that the columns of one image are all that is kept.

extension Backend {
  func composeConvolution(
    _ command: Command, _ convolution: Convolution, _ activation: UnaryOp?
  ) throws {
    let (x, weight, out) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard out.count > 0 else { return }
    let frame = try framed(x, convolution.window, output: out.shape, with: 0)
    let kernels = try kernels(weight, convolution)
    var result = try temporary(out.shape, x.dtype)
    for image in 0..<x.shape[0] {
      let columns = try columns(of: frame.image(image), convolution, output: out.shape)
      try enqueue(.gemm, [kernels, columns], [pixels(of: result.image(image), convolution)])
    }
    if command.inputs.count > 2 {
      result = try binary(.add, result, command.inputs[2].perChannel(of: out.shape))
    }
    if command.inputs.count > 3 { result = try binary(.add, result, command.inputs[3]) }
    if let activation { result = try unary(activation, result) }
    try copy(result, to: out)
  }

  func composeConvolutionInputGradient(_ command: Command, _ convolution: Convolution) throws {
    let (dy, weight, dx) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    let window = convolution.window
    let kernels = try kernels(weight, convolution)
    let transposed = kernels.with(kernels.layout.permuted([0, 2, 1]))
    let dense = try dense(dy)
    let frame = try temporary(window.framed(dx.shape, output: dy.shape), dy.dtype)
    try enqueue(.fill(0), [], [frame])
    let (area, height, width) = (window.height * window.width, dy.shape[2], dy.shape[3])
    for image in 0..<dy.shape[0] {
      let pixels = pixels(of: dense.image(image), convolution)
      let columns = try temporary(
        [convolution.groups, transposed.shape[1], height * width], dy.dtype)
      try enqueue(.gemm, [transposed, pixels], [columns])
      let parts = columns.viewed([1, dx.shape[1], area, height * width])
      try addWindows(to: frame.image(image), window, output: dy.shape) { row, column in
        let part = parts.layout.sliced(axis: 2, start: row * window.width + column, length: 1)
        return parts.with(
          Layout(
            shape: [1, dx.shape[1], height, width],
            strides: [0, part.strides[1], width, 1], offset: part.offset))
      }
    }
    try copy(frame.with(window.interior(of: frame.layout, dx.shape)), to: dx)
  }

  func composeConvolutionWeightGradient(_ command: Command, _ convolution: Convolution) throws {
    let (x, dy, gradient) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    let frame = try framed(x, convolution.window, output: dy.shape, with: 0)
    let dense = try dense(dy)
    var total: Operand?
    for image in 0..<x.shape[0] {
      let columns = try columns(of: frame.image(image), convolution, output: dy.shape)
      let pixels = pixels(of: dense.image(image), convolution)
      let part = try temporary([pixels.shape[0], pixels.shape[1], columns.shape[1]], x.dtype)
      try enqueue(.gemm, [pixels, columns.with(columns.layout.permuted([0, 2, 1]))], [part])
      total = try total.map { try binary(.add, $0, part) } ?? part
    }
    if let total { try copy(total.viewed(gradient.shape), to: gradient) }
    if command.outputs.count > 1 {
      let sum = try reduce(.sum, dy, axes: [0, 2, 3])
      try copy(sum.viewed([dy.shape[1]]), to: command.outputs[1])
    }
  }

  func composeConvolutionBackward(_ command: Command, _ convolution: Convolution) throws {
    let (x, weight) = (command.inputs[0], command.inputs[2])
    let dy = try inPreferredOrder(command.inputs[1])
    try enqueue(.convolutionInputGradient(convolution), [dy, weight], [command.outputs[0]])
    try enqueue(.convolutionWeightGradient(convolution), [x, dy], Array(command.outputs[1...]))
  }

  /// The images, or a copy in the memory order of this device: both gradients read it.
  private func inPreferredOrder(_ images: Operand) throws -> Operand {
    let layout = images.layout
    if prefersChannelsLast ? layout.isChannelsLast : layout.isContiguous { return images }
    let copied = try featureMap(images.shape, images.dtype)
    try copy(images, to: copied)
    return copied
  }

  /// `[O, C/G, KH, KW]` as `[G, O/G, C/G · KH · KW]`.
  private func kernels(_ weight: Operand, _ convolution: Convolution) throws -> Operand {
    let rows = weight.shape[0] / convolution.groups
    return try dense(weight).viewed([
      convolution.groups, rows, weight.shape[1] * weight.shape[2] * weight.shape[3],
    ])
  }

  /// The windows of one framed image as `[G, C/G · KH · KW, OH · OW]`.
  private func columns(
    of frame: Operand, _ convolution: Convolution, output: [Int]
  ) throws -> Operand {
    let windows = convolution.window.windows(of: frame.layout, output: output)
      .permuted([0, 1, 4, 5, 2, 3])
    let columns = try temporary(windows.shape, frame.dtype)
    try copy(frame.with(windows), to: columns)
    let rows = windows.shape[1] / convolution.groups * windows.shape[2] * windows.shape[3]
    return columns.viewed([convolution.groups, rows, output[2] * output[3]])
  }

  /// One image of a dense `[N, O, OH, OW]` as `[G, O/G, OH · OW]`.
  private func pixels(of image: Operand, _ convolution: Convolution) -> Operand {
    let shape = image.shape
    return image.viewed([
      convolution.groups, shape[1] / convolution.groups, shape[2] * shape[3],
    ])
  }
}

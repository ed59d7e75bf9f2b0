import ApusDevice
import CVector

extension CPUBackend {
  func convolution(
    _ convolution: Convolution, _ activation: UnaryOp?, _ inputs: [Operand], _ out: Operand
  ) throws {
    guard out.count > 0 else { return }
    if try convolutionOfPlanes(convolution, activation, inputs, out) { return }
    var sizes = apus_convolution(convolution, input: inputs[0].shape, output: out.shape)
    let isPlanar = suitsPlanes(inputs[0], convolution)
    sizes.is_planar = isPlanar
    let code = activation?.code
    try readingImages((isPlanar ? [] : [inputs[0]]) + inputs.dropFirst(3)) { images in
      let images = isPlanar ? [inputs[0]] + images : images
      try reading(Array(inputs[1..<min(inputs.count, 3)])) { weights in
        try withImage(out) { out in
          try withScratch(apus_convolve_scratch(&sizes)) {
            guard let scratch = $0?.assumingMemoryBound(to: Float.self) else { return }
            apus_convolve(
              &sizes, try floats(images[0]), try floats(weights[0]),
              weights.count > 1 ? try floats(weights[1]) : nil,
              images.count > 1 ? try floats(images[1]) : nil,
              code.map { Int32($0.0.rawValue) } ?? -1, code?.1 ?? apus_parameters(),
              try floats(out), scratch)
          }
        }
      }
    }
  }

  func convolutionInputGradient(
    _ convolution: Convolution, _ dy: Operand, _ weight: Operand, _ dx: Operand
  ) throws {
    guard dx.count > 0, dy.count > 0 else { return try clearAll([dx]) }
    if try inputGradientOfPlanes(convolution, dy, weight, dx) { return }
    var sizes = apus_convolution(convolution, input: dx.shape, output: dy.shape)
    try readingImages([dy]) { images in
      try reading(weight) { weights in
        try withImage(dx) { dx in
          try withScratch(apus_convolve_input_scratch(&sizes)) {
            guard let scratch = $0?.assumingMemoryBound(to: Float.self) else { return }
            apus_convolve_input_gradient(
              &sizes, try floats(images[0]), try floats(weights[0]), try floats(dx), scratch)
          }
        }
      }
    }
  }

  func convolutionWeightGradient(
    _ convolution: Convolution, _ x: Operand, _ dy: Operand, _ outputs: [Operand]
  ) throws {
    guard x.count > 0, dy.count > 0 else { return try clearAll(outputs) }
    if try weightGradientOfPlanes(convolution, x, dy, outputs) { return }
    var sizes = apus_convolution(convolution, input: x.shape, output: dy.shape)
    let isPlanar = suitsPlanes(x, convolution)
    sizes.is_planar = isPlanar
    sizes.repeats_dy =
      dy.layout.repeatsPixels && (convolution.groups == 1 || outputs[0].shape[1] > 1)
    // One pixel stands for all of an image.
    let (shape, steps) = (dy.shape, dy.layout.strides)
    let pixels = Layout(
      shape: [shape[0], shape[1], 1, 1], strides: [steps[0], steps[1], 0, 0],
      offset: dy.layout.offset)
    let dy = sizes.repeats_dy ? dy.with(pixels) : dy
    try readingImages(isPlanar ? [dy] : [x, dy]) { images in
      let images = isPlanar ? [x] + images : images
      func run(_ dweight: Operand, _ dbias: Operand?) throws {
        try withScratch(apus_convolve_weight_scratch(&sizes)) {
          guard let scratch = $0?.assumingMemoryBound(to: Float.self) else { return }
          apus_convolve_weight_gradient(
            &sizes, try floats(images[0]), try floats(images[1]), try floats(dweight),
            try dbias.map { try floats($0) }, scratch)
        }
      }
      try withContiguous(outputs[0]) { dweight in
        guard outputs.count > 1 else { return try run(dweight, nil) }
        try withContiguous(outputs[1]) { try run(dweight, $0) }
      }
    }
  }

  /// Whether NCHW data is read as it is. A group of few channels is gathered once, so that turning it
  /// there costs less than a pass over memory before; where many filters share many channels it would
  /// be turned again for each block of them.
  private func suitsPlanes(_ x: Operand, _ convolution: Convolution) -> Bool {
    let channels = x.shape[1]
    return channels > 1 && channels <= 4 * convolution.groups && x.layout.isContiguous
  }
}

extension apus_convolution {
  init(_ convolution: Convolution, input: [Int], output: [Int]) {
    let window = convolution.window
    self.init(
      batch: input[0], channels: input[1], height: input[2], width: input[3], filters: output[1],
      out_height: output[2], out_width: output[3], kernel_height: window.height,
      kernel_width: window.width, stride_height: window.strideHeight,
      stride_width: window.strideWidth, dilation_height: window.dilationHeight,
      dilation_width: window.dilationWidth, top: window.top, left: window.left,
      groups: convolution.groups, is_planar: false, repeats_dy: false)
  }
}

import ApusDevice

extension OpenCLBackend {
  func convolution(
    _ command: Command, _ convolution: Convolution, _ activation: UnaryOp?
  ) throws {
    let (x, weight, out) = (command.inputs[0], command.inputs[1], command.outputs[0])
    for operand in command.inputs + [out] { try require(.float32, operand, "convolution") }
    guard out.count > 0, x.count > 0, weight.count > 0, activation?.resultIsBool != true else {
      return try compose(command)
    }
    let bias = command.inputs.count > 2 ? try dense(command.inputs[2]) : nil
    if let plan = PlanesPlan(convolution, x, weight, out, on: description) {
      let addend = command.inputs.count > 3 ? try dense(command.inputs[3]) : nil
      return try depthwiseOfPlanes(plan, x, weight, bias, addend, out, activation)
    }
    let addend = command.inputs.count > 3 ? try channelsDense(command.inputs[3]) : nil
    let isDepthwise = convolution.isDepthwise(weight)
    let target = try isDepthwise ? depthwiseTarget(out) : target(out)
    let (code, a, b) = activation?.kernelCode ?? (-1, 0, 0)
    if isDepthwise {
      try depthwise(
        convolution.window, x, weight, bias, addend, target, op: code, a, b)
    } else {
      let window = convolution.window
      let image = try source(x, convolution, for: weight.shape[1])
      let tiling = tiling(
        "convolution", convolution, from: x.shape, to: out.shape, channels: weight.shape[1],
        outputs: out.shape[1] / convolution.groups)
      var arguments = ConvolutionArguments()
      try arguments.read(image, groups: convolution.groups, window)
      try arguments.write(target.layout, groups: convolution.groups)
      (arguments.op, arguments.a, arguments.b) = (code, a, b)
      arguments.hasBias = bias == nil ? 0 : 1
      arguments.biasOffset = try index(bias?.layout.offset ?? 0)
      if let addend {
        arguments.hasAddend = 1
        arguments.addend = try PixelPlace(addend.layout)
      }
      if let plan = WinogradPlan(
        convolution, channels: weight.shape[1], outputs: out.shape, tiling, on: description)
      {
        let view = WeightView(
          operand: weight, outputs: weight.shape[0], inputs: weight.shape[1],
          outputStride: weight.layout.strides[0], inputStride: weight.layout.strides[1])
        try winograd(
          plan, arguments, tiling, view, top: window.top, left: window.left, image.operand, bias,
          addend, target)
      } else {
        let packed = try pack(
          weight, convolution, tiling, outputStride: weight.layout.strides[0],
          inputStride: weight.layout.strides[1], outputs: weight.shape[0] / convolution.groups,
          inputs: weight.shape[1])
        packed.describe(&arguments)
        try launchTiles(
          arguments, tiling, groups: convolution.groups, image.operand, packed.operand, bias,
          addend, target)
      }
    }
    if target.storage !== out.storage { try copy(target, to: out) }
  }

  func convolutionInputGradient(_ command: Command, _ convolution: Convolution) throws {
    let (dy, weight, dx) = (command.inputs[0], command.inputs[1], command.outputs[0])
    for operand in [dy, weight, dx] { try require(.float32, operand, "convolutionInputGradient") }
    guard dy.count > 0, dx.count > 0, weight.count > 0 else { return try compose(command) }
    if let plan = PlanesPlan(convolution, dx, weight, dy, on: description), dx.layout.isContiguous {
      return try depthwiseGradientsOfPlanes(plan, x: dx, dy, weight, dx: dx, dw: nil, nil)
    }
    if convolution.isDepthwise(weight) {
      let target = try depthwiseTarget(dx)
      try depthwiseInput(convolution.window, dy, weight, target)
      if target.storage !== dx.storage { try copy(target, to: dx) }
      return
    }
    let source = try pixelsDense(dy)
    if convolution.hasFewChannels(dx.shape[1]) {
      return try wideInputGradient(convolution, source, weight, dx)
    }
    let target = try target(dx)
    let window = convolution.window
    let inputs = weight.shape[0] / convolution.groups
    let tiling = tiling(
      "convolutionInputGradient", convolution, from: dy.shape, to: dx.shape, channels: inputs,
      outputs: weight.shape[1])
    if let plan = WinogradPlan(
      convolution, channels: inputs, outputs: dx.shape, tiling, on: description)
    {
      // A forward pass with the taps in reverse.
      var arguments = ConvolutionArguments()
      try arguments.read(source, groups: 1)
      try arguments.write(target.layout, groups: 1)
      let view = WeightView(
        operand: weight, outputs: weight.shape[1], inputs: inputs,
        outputStride: weight.layout.strides[1], inputStride: weight.layout.strides[0],
        isReversed: true)
      try winograd(
        plan, arguments, tiling, view, top: window.height - 1 - window.top,
        left: window.width - 1 - window.left, source, nil, nil, target)
      if target.storage !== dx.storage { try copy(target, to: dx) }
      return
    }
    let packed = try pack(
      weight, convolution, tiling, outputStride: weight.layout.strides[1],
      inputStride: weight.layout.strides[0], outputs: weight.shape[1], inputs: inputs)
    var arguments = ConvolutionArguments()
    try arguments.read(source, groups: convolution.groups)
    packed.describe(&arguments)
    let place = try PixelPlace(target.layout)
    for row in 0..<min(window.strideHeight, dx.shape[2]) {
      let rows = try GradientPhase(
        phase: row, extent: dx.shape[2], kernel: window.height, stride: window.strideHeight,
        dilation: window.dilationHeight, before: window.top)
      for column in 0..<min(window.strideWidth, dx.shape[3]) {
        let columns = try GradientPhase(
          phase: column, extent: dx.shape[3], kernel: window.width, stride: window.strideWidth,
          dilation: window.dilationWidth, before: window.left)
        var phase = arguments
        (phase.rows, phase.columns) = (rows.taps, columns.taps)
        phase.outHeight = try index(rows.extent)
        phase.outWidth = try index(columns.extent)
        phase.outputs = try index(weight.shape[1])
        phase.out.offset = place.offset + Int32(row) * place.row + Int32(column) * place.pixel
        phase.out.image = place.image
        phase.out.row = place.row &* Int32(truncatingIfNeeded: window.strideHeight)
        phase.out.pixel = place.pixel &* Int32(truncatingIfNeeded: window.strideWidth)
        phase.firstTap =
          Int32(rows.first) * arguments.tapRow + Int32(columns.first) * arguments.tapColumn
        phase.tapRow *= Int32(rows.every)
        phase.tapColumn *= Int32(columns.every)
        try launchTiles(
          phase, tiling, groups: convolution.groups, source, packed.operand, nil, nil, target)
      }
    }
    if target.storage !== dx.storage { try copy(target, to: dx) }
  }

  /// The gradient of an image of few channels: all columns of the window at once, whose overlaps are
  /// summed afterwards (see `conv_overlap`).
  private func wideInputGradient(
    _ convolution: Convolution, _ dy: Operand, _ weight: Operand, _ dx: Operand
  ) throws {
    let window = convolution.window
    let (channels, run) = (dx.shape[1], dx.shape[1] * window.width)
    // [K, KH, KW · C]: columns and channels become the outputs.
    let ordered = try temporary([weight.shape[0], window.height, window.width, channels])
    try copy(weight.with(weight.layout.permuted([0, 2, 3, 1])), to: ordered)
    let turned = ordered.with(
      Layout(
        shape: [weight.shape[0], run, window.height, 1],
        strides: [window.height * run, 1, run, 1], offset: 0))
    var narrow = convolution
    (narrow.window.width, narrow.window.strideWidth) = (1, 1)
    let tiling = ConvolutionTiling(outputs: run, on: description)
    let packed = try pack(
      turned, narrow, tiling, outputStride: 1, inputStride: window.height * run, outputs: run,
      inputs: weight.shape[0])
    let wide = try temporary([dx.shape[0], dx.shape[2], dy.shape[3], run])
    _ = try index(wide.count)
    var arguments = ConvolutionArguments()
    try arguments.read(dy, groups: 1)
    packed.describe(&arguments)
    let row = Int32(truncatingIfNeeded: dy.shape[3] * run)
    for first in 0..<min(window.strideHeight, dx.shape[2]) {
      let rows = try GradientPhase(
        phase: first, extent: dx.shape[2], kernel: window.height, stride: window.strideHeight,
        dilation: window.dilationHeight, before: window.top)
      var phase = arguments
      phase.rows = rows.taps
      phase.columns = Taps(count: 1, scale: 1, base: 0, step: 0)
      phase.outHeight = try index(rows.extent)
      phase.outWidth = try index(dy.shape[3])
      phase.outputs = try index(run)
      phase.out = PixelPlace(
        offset: Int32(first) * row, image: row * Int32(dx.shape[2]),
        row: row &* Int32(truncatingIfNeeded: window.strideHeight), pixel: Int32(run))
      phase.firstTap = Int32(rows.first) * arguments.tapRow
      phase.tapRow *= Int32(rows.every)
      try launchTiles(phase, tiling, groups: 1, dy, packed.operand, nil, nil, wide)
    }
    try overlap(wide, convolution.window, to: dx)
  }

  /// Launches the tiles of a forward pass or of a phase of an input gradient.
  private func launchTiles(
    _ arguments: ConvolutionArguments, _ tiling: ConvolutionTiling, groups: Int, _ x: Operand,
    _ packed: Operand, _ bias: Operand?, _ addend: Operand?, _ out: Operand
  ) throws {
    guard arguments.outputPixels > 0 else { return }
    var arguments = arguments
    let kernel: KernelID
    let size: LaunchSize
    if runtime.isGPU {
      kernel = tiling.choice?.vectors == 2 ? .conv_warps : .conv_shared
      size = LaunchSize(
        16 * tiling.panels, 16 * ((arguments.outputPixels + 63) / 64), groups,
        local: (16, 16, 1))
    } else {
      kernel = tiling.tileKernel
      let (pixels, panels) = arguments.divide(tiling, units: max(description.computeUnits, 1))
      size = LaunchSize(pixels, panels, groups)
    }
    let final = arguments
    let (source, weights, target) = (try buffer(x), try buffer(packed), try buffer(out))
    let (first, second) = (try buffer(bias ?? x), try buffer(addend ?? x))
    try runtime.launch(kernel, size) {
      $0.value(final)
      $0.buffer(source)
      $0.buffer(weights)
      $0.buffer(first)
      $0.buffer(second)
      $0.buffer(target)
    }
  }
}

extension Convolution {
  /// One filter a channel.
  func isDepthwise(_ weight: Operand) -> Bool {
    groups > 1 && weight.shape[1] == 1 && weight.shape[0] == groups
  }

  /// Whether the columns of the window are better merged with so few channels.
  func hasFewChannels(_ channels: Int) -> Bool {
    groups == 1 && channels < 8 && window.width > 1 && window.dilationWidth == 1
      && channels * window.width <= 64
  }
}

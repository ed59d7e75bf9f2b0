import ApusDevice

/// `Unpack` of convolution.cl.
struct UnpackArguments: BitwiseCopyable {
  var groups, outputs, inputs, height, width, panel, panels, parts: Int32
  var offset, groupStep, outStep, inStep, rowStep, columnStep: Int32
  var hasBias, biasOffset, biasStep, chunk: Int32
}

extension OpenCLBackend {
  /// Products over the pixels of parts of the batch, which then are summed in order.
  func convolutionWeightGradient(_ command: Command, _ convolution: Convolution) throws {
    let (x, gradient, dw) = (command.inputs[0], command.inputs[1], command.outputs[0])
    let dbias = command.outputs.count > 1 ? command.outputs[1] : nil
    for operand in command.inputs + command.outputs {
      try require(.float32, operand, "convolutionWeightGradient")
    }
    guard gradient.count > 0, x.count > 0, dw.count > 0 else { return try compose(command) }
    if let plan = PlanesPlan(convolution, x, dw, gradient, on: description) {
      return try depthwiseGradientsOfPlanes(plan, x: x, gradient, dw, dx: nil, dw: dw, dbias)
    }
    if convolution.isDepthwise(dw) {
      return try depthwiseWeights(convolution.window, x, gradient, dw, dbias)
    }
    let window = convolution.window
    let dy = try channelsDense(gradient)
    let image = try source(x, convolution, for: dw.shape[1])
    let tiling = weightsTiling(convolution, x.shape, dy.shape, dw.shape)
    var arguments = ConvolutionArguments()
    try arguments.read(image, groups: convolution.groups, window)
    try arguments.write(dy.layout, groups: convolution.groups)
    arguments.hasBias = dbias == nil ? 0 : 1
    arguments.panels = try index(tiling.panels)
    if let plan = WinogradWeightsPlan(
      convolution, channels: dw.shape[1], outputs: dy.shape, tiling, on: description)
    {
      return try winogradWeights(
        plan, arguments, tiling, window, image.operand, dy, dw, dbias)
    }

    let groups = convolution.groups
    let rows = window.height * window.width * dw.shape[1] + (dbias == nil ? 0 : 1)
    let pixels = arguments.outputPixels
    let units = max(description.computeUnits, 1)
    let kernel: KernelID
    let blocks: Int
    let block: Int
    if runtime.isGPU {
      kernel = .weights_shared
      blocks = groups * tiling.panels * ((rows + 63) / 64)
      block = 16
    } else {
      kernel = tiling.weightsKernel
      blocks = groups * tiling.panels
      block = 96
    }
    let wanted = 4 * units
    let usual = min((wanted + blocks - 1) / blocks, 32)
    let cuts = max(1, min(tiling.choice?.parts ?? usual, pixels / (2 * block)))
    let each = ((pixels + cuts - 1) / cuts + block - 1) / block * block
    let parts = (pixels + each - 1) / each
    (arguments.pixels, arguments.parts) = (try index(each), try index(parts))
    let partial = try temporary([parts, groups, tiling.panels, rows, tiling.panel])
    _ = try index(partial.count)

    let size =
      runtime.isGPU
      ? LaunchSize(
        16 * tiling.panels, 16 * ((rows + 63) / 64), groups * parts, local: (16, 16, 1))
      : LaunchSize(parts, tiling.panels, groups)
    let zeros = runtime.isGPU || image.isPadded ? dy : try self.zeros(dw.shape[1])
    let final = arguments
    let isGPU = runtime.isGPU
    let (a, b, c, d) = (
      try buffer(image.operand), try buffer(dy), try buffer(zeros), try buffer(partial)
    )
    try runtime.launch(kernel, size) {
      $0.value(final)
      $0.buffer(a)
      $0.buffer(b)
      if !isGPU { $0.buffer(c) }
      $0.buffer(d)
    }
    try unpack(partial, tiling, convolution, rows: rows, parts: parts, dw, dbias)
  }

  private func zeros(_ channels: Int) throws -> Operand {
    let zeros = try temporary([channels])
    try fill(0, zeros)
    return zeros
  }

  private func unpack(
    _ partial: Operand, _ tiling: ConvolutionTiling, _ convolution: Convolution, rows: Int,
    parts: Int, _ dw: Operand, _ dbias: Operand?
  ) throws {
    let (groups, window) = (convolution.groups, convolution.window)
    let strides = dw.layout.strides
    _ = try index(max(dw.layout.end, dbias?.layout.end ?? 0))
    let units = max(description.computeUnits, 1)
    let blocks = groups * tiling.panels
    let wanted = runtime.isGPU ? 4096 : 4 * units
    let cuts = max(1, min(rows, (wanted + blocks - 1) / blocks))
    let chunk = (rows + cuts - 1) / cuts
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    let arguments = UnpackArguments(
      groups: int(groups), outputs: int(dw.shape[0] / groups), inputs: int(dw.shape[1]),
      height: int(window.height), width: int(window.width), panel: int(tiling.panel),
      panels: int(tiling.panels), parts: int(parts), offset: int(dw.layout.offset),
      groupStep: int(dw.shape[0] / groups * strides[0]), outStep: int(strides[0]),
      inStep: int(strides[1]), rowStep: int(strides[2]), columnStep: int(strides[3]),
      hasBias: dbias == nil ? 0 : 1, biasOffset: int(dbias?.layout.offset ?? 0),
      biasStep: int(dbias?.layout.strides[0] ?? 1), chunk: int(chunk))
    let (from, to, bias) = (try buffer(partial), try buffer(dw), try buffer(dbias ?? dw))
    let size = LaunchSize(
      (rows + chunk - 1) / chunk, blocks, local: (runtime.isGPU ? 64 : 1, 1))
    try runtime.launch(.conv_unpack, size) {
      $0.value(arguments)
      $0.buffer(from)
      $0.buffer(to)
      $0.buffer(bias)
    }
  }
}

import ApusDevice

/// The weights of a pass as the kernels read them.
struct WeightView {
  var operand: Operand
  var outputs: Int
  var inputs: Int
  var outputStride: Int
  var inputStride: Int
  /// The taps in reverse order, as the input gradient meets them.
  var isReversed = false
}

extension OpenCLBackend {
  /// `arguments` describe the images; `top` and `left` are the padding before them.
  func winograd(
    _ plan: WinogradPlan, _ arguments: ConvolutionArguments, _ tiling: ConvolutionTiling,
    _ weight: WeightView, top: Int, left: Int, _ x: Operand, _ bias: Operand?, _ addend: Operand?,
    _ out: Operand
  ) throws {
    let taps = 7 - plan.edge
    let strides = weight.operand.layout.strides
    let panels = tiling.panels
    let packed = try temporary([panels, 36, weight.inputs, tiling.panel])
    _ = try index(max(packed.count, weight.operand.layout.end))
    let units = max(description.computeUnits, 1)
    let cuts = max(1, min(weight.inputs, (4 * units + panels - 1) / panels))
    let chunk = (weight.inputs + cuts - 1) / cuts
    let sign = weight.isReversed ? -1 : 1
    let first = weight.isReversed ? (taps - 1) * (strides[2] + strides[3]) : 0
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    let pack = PackArguments(
      groups: 1, outputs: int(weight.outputs), inputs: int(weight.inputs), height: int(taps),
      width: int(taps), panel: int(tiling.panel), panels: int(panels), front: 0,
      offset: int(weight.operand.layout.offset + first), groupStep: 0,
      outStep: int(weight.outputStride), inStep: int(weight.inputStride),
      rowStep: int(sign * strides[2]), columnStep: int(sign * strides[3]), chunk: int(chunk))
    let (from, to) = (try buffer(weight.operand), try buffer(packed))
    let isWide = tiling.vectors == 2
    try runtime.launch(
      isWide ? .winograd_pack_2 : .winograd_pack_1,
      LaunchSize((weight.inputs + chunk - 1) / chunk, panels)
    ) {
      $0.value(pack)
      $0.buffer(from)
      $0.buffer(to)
    }

    var arguments = arguments
    arguments.rows = Taps(count: int(taps), scale: 1, base: -(try index(top)), step: 1)
    arguments.columns = Taps(count: int(taps), scale: 1, base: -(try index(left)), step: 1)
    arguments.panels = int(panels)
    arguments.pixels = int(plan.tiles)
    let final = arguments
    let (source, target) = (try buffer(x), try buffer(out))
    let (a, b) = (try buffer(bias ?? x), try buffer(addend ?? x))
    try runtime.launch(isWide ? .winograd_2 : .winograd_1, LaunchSize(plan.items)) {
      $0.value(final)
      $0.buffer(source)
      $0.buffer(to)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(target)
      $0.local(bytes: plan.scratchBytes)
    }
  }

  /// The weight gradient; the parts of the transformed sums are added in order.
  func winogradWeights(
    _ plan: WinogradWeightsPlan, _ arguments: ConvolutionArguments, _ tiling: ConvolutionTiling,
    _ window: Window, _ x: Operand, _ dy: Operand, _ dw: Operand, _ dbias: Operand?
  ) throws {
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    let (outputs, inputs, panels) = (dw.shape[0], dw.shape[1], tiling.panels)
    let rows = (inputs + 15) / 16 * 16
    let partial = try temporary([plan.parts, panels, 36 * rows + 1, tiling.panel])
    _ = try index(max(partial.count, dw.layout.end))
    var arguments = arguments
    let taps = window.height
    arguments.rows = Taps(count: int(taps), scale: 1, base: -(try index(window.top)), step: 1)
    arguments.columns = Taps(count: int(taps), scale: 1, base: -(try index(window.left)), step: 1)
    arguments.panels = int(panels)
    arguments.pixels = int(plan.part)
    arguments.panelsEach = int(plan.tiles)
    arguments.panelSize = int(plan.channels)
    let final = arguments
    let isWide = tiling.vectors == 2
    let (a, b, c) = (try buffer(x), try buffer(dy), try buffer(partial))
    try runtime.launch(
      isWide ? .winograd_weights_2 : .winograd_weights_1,
      LaunchSize(plan.parts, panels, plan.blocks)
    ) {
      $0.value(final)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.local(bytes: plan.scratchBytes)
    }

    let strides = dw.layout.strides
    let units = max(description.computeUnits, 1)
    let cuts = max(1, min(inputs, (4 * units + panels - 1) / panels))
    let chunk = (inputs + cuts - 1) / cuts
    _ = try index(dbias?.layout.end ?? 0)
    let unpack = UnpackArguments(
      groups: 1, outputs: int(outputs), inputs: int(inputs), height: int(taps), width: int(taps),
      panel: int(tiling.panel), panels: int(panels), parts: int(plan.parts),
      offset: int(dw.layout.offset), groupStep: 0, outStep: int(strides[0]),
      inStep: int(strides[1]), rowStep: int(strides[2]), columnStep: int(strides[3]),
      hasBias: dbias == nil ? 0 : 1, biasOffset: int(dbias?.layout.offset ?? 0),
      biasStep: int(dbias?.layout.strides[0] ?? 1), chunk: int(chunk))
    let (to, bias) = (try buffer(dw), try buffer(dbias ?? dw))
    try runtime.launch(
      isWide ? .winograd_unpack_2 : .winograd_unpack_1,
      LaunchSize((inputs + chunk - 1) / chunk, panels)
    ) {
      $0.value(unpack)
      $0.buffer(c)
      $0.buffer(to)
      $0.buffer(bias)
    }
  }
}

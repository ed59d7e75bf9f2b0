import ApusDevice

/// `Planes` of depthwise_planes.cl.
private struct PlanesArguments: BitwiseCopyable {
  var planes, channels, chunk: Int32
  var height, width, outHeight, outWidth, top, left: Int32
  var weightOffset: Int32 = 0
  var biasOffset: Int32 = 0
  var addendOffset: Int32 = 0
  var outOffset: Int32 = 0

  init(_ plan: PlanesPlan, chunk: Int) throws {
    (planes, channels) = (try index(plan.planes), try index(plan.x[1]))
    self.chunk = try index(chunk)
    (height, width) = (try index(plan.x[2]), try index(plan.x[3]))
    (outHeight, outWidth) = (try index(plan.out[2]), try index(plan.out[3]))
    (top, left) = (try index(plan.window.top), try index(plan.window.left))
  }
}

/// A depthwise convolution that a processor's kernels run on planes (NCHW) as they lie.
struct PlanesPlan {
  let window: Window
  /// The shapes of input and output.
  let x, out: [Int]

  var planes: Int { x[0] * x[1] }
  var taps: Int { window.height * window.width }

  /// Nil where another algorithm has to run. `out` is dense, or a gradient that is one value for each plane.
  init?(
    _ convolution: Convolution, _ x: Operand, _ weight: Operand, _ out: Operand,
    on device: OpenCLDeviceDescription
  ) {
    let window = convolution.window
    let (side, lanes) = (window.width, device.vectorWidth >= 16 ? 16 : 8)
    guard device.kind != .gpu, convolution.keepsPlanes(weight: weight.shape),
      window.height == side, side == 3 || side == 5, window.dilationHeight == 1,
      window.dilationWidth == 1, x.layout.hasDenseRows
    else { return nil }
    guard out.layout.isContiguous || out.layout.repeatsPixels else { return nil }
    let (before, after) = (window.left, out.shape[3] + side - 1 - window.left - x.shape[3])
    guard min(x.shape[2], out.shape[2]) >= 4, min(x.shape[3], out.shape[3]) >= lanes,
      (0..<side).contains(before), (0..<side).contains(after)
    else { return nil }
    (self.window, self.x, self.out) = (window, x.shape, out.shape)
  }
}

extension OpenCLBackend {
  func depthwiseOfPlanes(
    _ plan: PlanesPlan, _ x: Operand, _ weight: Operand, _ bias: Operand?, _ addend: Operand?,
    _ out: Operand, _ activation: UnaryOp?
  ) throws {
    let weight = try dense(weight)
    let (size, chunk) = planesLaunchSize(plan)
    var arguments = try PlanesArguments(plan, chunk: chunk)
    arguments.weightOffset = try index(weight.layout.offset)
    arguments.biasOffset = try index(bias?.layout.offset ?? 0)
    arguments.addendOffset = try index(addend?.layout.offset ?? 0)
    arguments.outOffset = try index(out.layout.offset)
    for operand in [weight, out] + (addend.map { [$0] } ?? []) { _ = try index(operand.layout.end) }
    let place = try ImagePlace(x)
    let (code, first, second) = activation?.kernelCode ?? (-1, 0, 0)
    let (a, b, c) = (try buffer(x), try buffer(weight), try buffer(bias ?? weight))
    let (d, e) = (try buffer(addend ?? x), try buffer(out))
    let final = arguments
    try runtime.launch(
      plan.window.width == 3 ? .depthwise_planes_3 : .depthwise_planes_5, size
    ) {
      $0.value(final)
      $0.value(place)
      $0.buffers(a, b, c, d, e)
      $0.value(Int32(bias == nil ? 0 : 1))
      $0.value(Int32(addend == nil ? 0 : 1))
      $0.value(code)
      $0.value(first)
      $0.value(second)
    }
  }

  /// Both gradients where planes suit, else from a `dy` that is brought into order once.
  func convolutionBackward(_ command: Command, _ convolution: Convolution) throws {
    let (x, dy, weight) = (command.inputs[0], command.inputs[1], command.inputs[2])
    let (dx, dw) = (command.outputs[0], command.outputs[1])
    let dbias = command.outputs.count > 2 ? command.outputs[2] : nil
    for operand in command.inputs + command.outputs {
      try require(.float32, operand, "convolutionBackward")
    }
    guard x.count > 0, dy.count > 0 else { return try compose(command) }
    if !dx.layout.isContiguous {
      guard convolution.isDepthwise(weight) else { return try compose(command) }
      let dense = try channelsDense(dy)
      try enqueue(.convolutionInputGradient(convolution), [dense, weight], [dx])
      return try enqueue(
        .convolutionWeightGradient(convolution), [x, dense], Array(command.outputs[1...]))
    }
    if let plan = PlanesPlan(convolution, x, weight, dy, on: description) {
      return try depthwiseGradientsOfPlanes(plan, x: x, dy, weight, dx: dx, dw: dw, dbias)
    }
    // A gradient in another order is turned, not the images.
    let turned = dy.with(Layout(contiguous: dy.shape))
    if let plan = PlanesPlan(convolution, x, weight, turned, on: description) {
      return try depthwiseGradientsOfPlanes(
        plan, x: x, try dense(dy), weight, dx: dx, dw: dw, dbias)
    }
    try compose(command)
  }

  /// The gradients that are asked for, in one pass over the planes; `weight` is read for `dx` alone.
  func depthwiseGradientsOfPlanes(
    _ plan: PlanesPlan, x: Operand, _ dy: Operand, _ weight: Operand, dx: Operand?, dw: Operand?,
    _ dbias: Operand?
  ) throws {
    let weight = dx == nil ? weight : try dense(weight)
    let (size, chunk) = planesLaunchSize(plan)
    var arguments = try PlanesArguments(plan, chunk: chunk)
    arguments.weightOffset = try index(weight.layout.offset)
    arguments.outOffset = try index(dx?.layout.offset ?? 0)
    _ = try index(max(weight.layout.end, dx?.layout.end ?? 0))
    let (channels, row) = (plan.x[1], plan.taps + 1)
    let sums = try dw == nil ? nil : temporary([plan.x[0], channels, row])
    _ = try index(sums?.count ?? 0)
    let places = (try ImagePlace(x), try ImagePlace(dy))
    let (a, b, c) = (try buffer(x), try buffer(dy), try buffer(weight))
    let (d, e) = (try buffer(dx ?? x), try buffer(sums ?? x))
    let final = arguments
    try runtime.launch(
      plan.window.width == 3 ? .depthwise_planes_backward_3 : .depthwise_planes_backward_5, size
    ) {
      $0.value(final)
      $0.value(places.0)
      $0.value(places.1)
      $0.buffers(a, b, c, d, e)
      $0.value(Int32(dx == nil ? 0 : 1))
      $0.value(Int32(sums == nil ? 0 : 1))
    }
    guard let sums, let dw else { return }
    // [N, C, taps + 1] → [C, 1, KH, KW], and the last of each row to the bias.
    let (shape, strides) = (dw.shape, dw.layout.strides)
    try reduce(
      .sum, axes: [0],
      sums.with(
        Layout(
          shape: [plan.x[0], channels, shape[2], shape[3]],
          strides: [channels * row, row, shape[3], 1], offset: 0)),
      dw.with(
        Layout(
          shape: [1, channels, shape[2], shape[3]],
          strides: [0, strides[0], strides[2], strides[3]], offset: dw.layout.offset)))
    if let dbias {
      try reduce(
        .sum, axes: [0],
        sums.with(
          Layout(shape: [plan.x[0], channels], strides: [channels * row, row], offset: plan.taps)),
        dbias.with(
          Layout(
            shape: [1, channels], strides: [0, dbias.layout.strides[0]],
            offset: dbias.layout.offset)))
    }
  }

  /// Some work-items for each unit, none with too little to do.
  private func planesLaunchSize(_ plan: PlanesPlan) -> (LaunchSize, chunk: Int) {
    let share = plan.planes / (max(description.computeUnits, 1) * 8) + 1
    let work = plan.taps * max(plan.x[2] * plan.x[3], plan.out[2] * plan.out[3])
    let chunk = min(max(share, 65536 / work + 1), max(plan.planes, 1))
    return (LaunchSize((plan.planes + chunk - 1) / chunk), chunk)
  }
}

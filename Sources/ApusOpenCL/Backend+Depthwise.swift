import ApusDevice

extension OpenCLBackend {
  /// `[C, 1, KH, KW]` as `[KH, KW, C]`.
  private func channelsOfTaps(_ weight: Operand) throws -> Operand {
    let shape = weight.shape
    let ordered = try temporary([shape[2], shape[3], shape[0], 1])
    try copy(weight.with(weight.layout.permuted([2, 3, 0, 1])), to: ordered)
    return ordered
  }

  /// Images as the kernels are fast on: on a CPU a vector holds neighbouring channels.
  private func lanes(_ x: Operand) throws -> Operand {
    runtime.isGPU ? x : try channelsDense(x)
  }

  /// What the kernels write: on a GPU the output in any order.
  func depthwiseTarget(_ out: Operand) throws -> Operand {
    try runtime.isGPU ? out : target(out)
  }

  func depthwise(
    _ window: Window, _ x: Operand, _ weight: Operand, _ bias: Operand?, _ addend: Operand?,
    _ out: Operand, isReversed: Bool = false, op: Int32, _ first: Float, _ second: Float
  ) throws {
    let x = try lanes(x)
    let taps = try channelsOfTaps(weight)
    var grid = try ImageGrid(out.shape)
    let size = imageLaunchSize(&grid, cost: window.height * window.width)
    let walk = grid
    let places = (try ImagePlace(x), try ImagePlace(addend ?? out), try ImagePlace(out))
    let frame = try WindowArguments(window)
    let (height, width) = (try index(x.shape[2]), try index(x.shape[3]))
    let biasOffset = try index(bias?.layout.offset ?? 0)
    let (a, b, c) = (try buffer(x), try buffer(taps), try buffer(bias ?? taps))
    let (d, e) = (try buffer(addend ?? x), try buffer(out))
    try runtime.launch(.depthwise, size) {
      $0.images(walk, at: places.0, places.1, places.2, frame: frame)
      $0.buffers(a, b, c, d, e)
      $0.value(height)
      $0.value(width)
      $0.value(Int32(bias == nil ? 0 : 1))
      $0.value(biasOffset)
      $0.value(Int32(addend == nil ? 0 : 1))
      $0.value(Int32(isReversed ? 1 : 0))
      $0.value(op)
      $0.value(first)
      $0.value(second)
    }
  }

  func depthwiseInput(_ window: Window, _ dy: Operand, _ weight: Operand, _ dx: Operand) throws {
    if window.strideHeight == 1 && window.strideWidth == 1 {
      var mirrored = window
      mirrored.top = window.dilationHeight * (window.height - 1) - window.top
      mirrored.left = window.dilationWidth * (window.width - 1) - window.left
      return try depthwise(mirrored, dy, weight, nil, nil, dx, isReversed: true, op: -1, 0, 0)
    }
    let dy = try lanes(dy)
    let taps = try channelsOfTaps(weight)
    var grid = try ImageGrid(dx.shape)
    let size = imageLaunchSize(&grid, cost: window.height * window.width)
    let walk = grid
    let places = (try ImagePlace(dy), try ImagePlace(dx))
    let frame = try WindowArguments(window)
    let (height, width) = (try index(dy.shape[2]), try index(dy.shape[3]))
    let (a, b, c) = (try buffer(dy), try buffer(taps), try buffer(dx))
    try runtime.launch(.depthwise_input, size) {
      $0.images(walk, at: places.0, places.1, frame: frame)
      $0.buffers(a, b, c)
      $0.value(height)
      $0.value(width)
    }
  }

  /// Sums over rows of dy in parts, which then are added in order.
  func depthwiseWeights(
    _ window: Window, _ x: Operand, _ dy: Operand, _ dw: Operand, _ dbias: Operand?
  ) throws {
    let (x, dy) = (try lanes(x), try lanes(dy))
    var grid = try ImageGrid(dy.shape)
    let (rows, channels) = (dy.shape[0] * dy.shape[2], dy.shape[1])
    let taps = window.height * window.width
    let sums = taps + (dbias == nil ? 0 : 1)
    let units = max(description.computeUnits, 1)
    // On a GPU a work-item sums one tap of one channel, on a CPU all of its part.
    let wanted = runtime.isGPU ? 4096 * units / max(channels * sums, 1) : 4 * units
    let cuts = max(1, min(64, rows, wanted))
    let chunk = (rows + cuts - 1) / cuts
    let parts = (rows + chunk - 1) / chunk
    grid.chunk = try index(chunk)
    let walk = grid
    let partial = try temporary([parts, sums, channels])
    _ = try index(partial.count)
    let places = (try ImagePlace(x), try ImagePlace(dy))
    let frame = try WindowArguments(window)
    let (height, width) = (try index(x.shape[2]), try index(x.shape[3]))
    let (a, b, c) = (try buffer(x), try buffer(dy), try buffer(partial))
    let size =
      runtime.isGPU
      ? LaunchSize(channels, sums, parts, local: (64, 1, 1)) : LaunchSize(parts)
    try runtime.launch(.depthwise_weights, size) {
      $0.images(walk, at: places.0, places.1, frame: frame)
      $0.buffers(a, b, c)
      $0.value(height)
      $0.value(width)
      $0.value(Int32(dbias == nil ? 0 : 1))
    }
    // [parts, taps, C] → [C, 1, KH, KW], and the last row to the bias.
    let strides = dw.layout.strides
    let row = sums * channels
    try reduce(
      .sum, axes: [0],
      partial.with(
        Layout(
          shape: [parts, window.height, window.width, channels],
          strides: [row, window.width * channels, channels, 1], offset: 0)),
      dw.with(
        Layout(
          shape: [1, window.height, window.width, channels],
          strides: [0, strides[2], strides[3], strides[0]], offset: dw.layout.offset)))
    if let dbias {
      try reduce(
        .sum, axes: [0],
        partial.with(
          Layout(shape: [parts, channels], strides: [row, 1], offset: taps * channels)),
        dbias.with(
          Layout(
            shape: [1, channels], strides: [0, dbias.layout.strides[0]],
            offset: dbias.layout.offset)))
    }
  }
}

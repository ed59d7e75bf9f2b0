import ApusDevice

/// `Pack` of convolution.cl.
struct PackArguments: BitwiseCopyable {
  var groups, outputs, inputs, height, width, panel, panels, front: Int32
  var offset, groupStep, outStep, inStep, rowStep, columnStep: Int32
  var chunk: Int32
}

/// `Padding` of convolution.cl.
private struct PaddingArguments: BitwiseCopyable {
  var images, height, width, channels, paddedHeight, paddedWidth, top, left: Int32
  var offset, imageStep, channelStep, rowStep, columnStep: Int32
  var chunk, slack: Int32
}

/// `Overlap` of convolution.cl.
private struct OverlapArguments: BitwiseCopyable {
  var rows, width, channels, wideWidth, taps, stride, left, height: Int32
  var offset, imageStep, channelStep, rowStep, columnStep, chunk: Int32
}

/// Weights in panels.
struct PackedWeights {
  var operand: Operand
  var tapColumn: Int32
  var tapRow: Int32
  var panelSize: Int32
  var panels: Int32
  var front: Int32

  func describe(_ arguments: inout ConvolutionArguments) {
    (arguments.tapRow, arguments.tapColumn) = (tapRow, tapColumn)
    (arguments.panelSize, arguments.panels, arguments.front) = (panelSize, panels, front)
  }
}

/// The input of a convolution as the kernels of a CPU read it.
struct ConvolutionSource {
  var operand: Operand
  /// A copy that holds its padding: no tap leaves it.
  var isPadded = false
  /// The taps of a row of the window are one run of elements.
  var isMerged = false
}

extension OpenCLBackend {
  /// The operand, or a contiguous copy of it.
  func dense(_ x: Operand) throws -> Operand {
    if x.layout.isContiguous { return x }
    let copied = try temporary(x.shape, x.dtype)
    try copy(x, to: copied)
    return copied
  }

  /// The images with dense channels, pixels wherever they lie.
  func channelsDense(_ x: Operand) throws -> Operand {
    if x.layout.hasDenseChannels { return x }
    guard x.layout.repeatsPixels else { return try channelsLast(x) }
    // One pixel stands for all of an image.
    let shape = x.shape
    let pixels = try temporary([shape[0], shape[1]])
    try copy(x.with(x.layout.selecting([0, 1])), to: pixels)
    return pixels.with(Layout(shape: shape, strides: [shape[1], 1, 0, 0], offset: 0))
  }

  /// The images with dense channels and evenly spaced pixels.
  func pixelsDense(_ x: Operand) throws -> Operand {
    if x.layout.pixelPitch != nil { return x }
    return try channelsLast(x)
  }

  private func channelsLast(_ x: Operand) throws -> Operand {
    let copied = try featureMap(x.shape)
    try copy(x, to: copied)
    return copied
  }

  /// What kernels write: the output itself, or what then is copied to it.
  func target(_ out: Operand) throws -> Operand {
    out.layout.hasDenseChannels ? out : try featureMap(out.shape)
  }

  /// The input: in place where its channels fill registers, else with its padding written out.
  func source(_ x: Operand, _ convolution: Convolution, for channels: Int) throws
    -> ConvolutionSource
  {
    if runtime.isGPU || channels >= 8 { return ConvolutionSource(operand: try pixelsDense(x)) }
    let window = convolution.window
    let (shape, steps) = (x.shape, x.layout.strides)
    let padded = [
      shape[0], shape[1], shape[2] + window.top + window.bottom,
      shape[3] + window.left + window.right,
    ]
    // The last taps of a merged row, and tiles of channels, may reach past the last pixel.
    let slack = 16 + shape[1] * window.width
    let count = padded[0] * padded[1] * padded[2] * padded[3] + slack
    _ = try index(max(count, x.layout.end))
    let copied = try temporary([count])
    let rows = padded[0] * padded[2]
    let chunk = max(1, rows / (4 * max(description.computeUnits, 1)) + 1)
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    let arguments = PaddingArguments(
      images: int(shape[0]), height: int(shape[2]), width: int(shape[3]), channels: int(shape[1]),
      paddedHeight: int(padded[2]), paddedWidth: int(padded[3]), top: int(window.top),
      left: int(window.left), offset: int(x.layout.offset), imageStep: int(steps[0]),
      channelStep: int(steps[1]), rowStep: int(steps[2]), columnStep: int(steps[3]),
      chunk: int(chunk), slack: int(slack))
    let (from, to) = (try buffer(x), try buffer(copied))
    try runtime.launch(.conv_pad, LaunchSize((rows + chunk - 1) / chunk)) {
      $0.value(arguments)
      $0.buffer(from)
      $0.buffer(to)
    }
    return ConvolutionSource(
      operand: copied.with(Layout(channelsLast: padded)), isPadded: true,
      isMerged: convolution.hasFewChannels(shape[1]))
  }

  /// Weights of one pass to panels of its outputs.
  func pack(
    _ weight: Operand, _ convolution: Convolution, _ tiling: ConvolutionTiling, outputStride: Int,
    inputStride: Int, outputs: Int, inputs: Int
  ) throws -> PackedWeights {
    let window = convolution.window
    let (groups, panel, panels) = (convolution.groups, tiling.panel, tiling.panels)
    // Zeros for a pixel outside the image, also for a merged row.
    let front = (max(inputs * window.width, 16) + 15) / 16 * 16
    let panelSize = window.height * window.width * inputs * panel
    let count = front + groups * panels * panelSize
    _ = try index(max(count, weight.layout.end))
    let packed = try temporary([count])
    let units = max(description.computeUnits, 1)
    let wanted = runtime.isGPU ? 4096 : 4 * units
    let cuts = max(1, min(inputs, (wanted + groups * panels - 1) / (groups * panels)))
    let chunk = (inputs + cuts - 1) / cuts
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    let arguments = PackArguments(
      groups: int(groups), outputs: int(outputs), inputs: int(inputs), height: int(window.height),
      width: int(window.width), panel: int(panel), panels: int(panels), front: int(front),
      offset: int(weight.layout.offset),
      groupStep: int(weight.shape[0] / groups * weight.layout.strides[0]),
      outStep: int(outputStride), inStep: int(inputStride), rowStep: int(weight.layout.strides[2]),
      columnStep: int(weight.layout.strides[3]), chunk: int(chunk))
    let (from, to) = (try buffer(weight), try buffer(packed))
    let size = LaunchSize(
      (inputs + chunk - 1) / chunk, groups * panels, local: (runtime.isGPU ? 64 : 1, 1))
    try runtime.launch(.conv_pack, size) {
      $0.value(arguments)
      $0.buffer(from)
      $0.buffer(to)
    }
    return PackedWeights(
      operand: packed, tapColumn: int(inputs * panel), tapRow: int(window.width * inputs * panel),
      panelSize: int(panelSize), panels: int(panels), front: int(front))
  }

  /// Sums the overlapping columns of a wide gradient.
  func overlap(_ wide: Operand, _ window: Window, to dx: Operand) throws {
    let (shape, steps) = (dx.shape, dx.layout.strides)
    let rows = shape[0] * shape[2]
    let chunk = runtime.isGPU ? 1 : max(1, rows / (4 * max(description.computeUnits, 1)) + 1)
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    _ = try index(dx.layout.end)
    let arguments = OverlapArguments(
      rows: int(rows), width: int(shape[3]), channels: int(shape[1]), wideWidth: int(wide.shape[2]),
      taps: int(window.width), stride: int(window.strideWidth), left: int(window.left),
      height: int(shape[2]), offset: int(dx.layout.offset), imageStep: int(steps[0]),
      channelStep: int(steps[1]), rowStep: int(steps[2]), columnStep: int(steps[3]),
      chunk: int(chunk))
    let (from, to) = (try buffer(wide), try buffer(dx))
    let size = LaunchSize((rows + chunk - 1) / chunk, local: runtime.isGPU ? 64 : 1)
    try runtime.launch(.conv_overlap, size) {
      $0.value(arguments)
      $0.buffer(from)
      $0.buffer(to)
    }
  }
}

extension ConvolutionArguments {
  /// Reads an input through the taps of a forward pass.
  mutating func read(_ source: ConvolutionSource, groups: Int, _ window: Window) throws {
    try read(source.operand, groups: groups)
    rows = try Taps(
      kernel: window.height, stride: window.strideHeight, dilation: window.dilationHeight,
      before: source.isPadded ? 0 : window.top)
    columns = try Taps(
      kernel: window.width, stride: window.strideWidth, dilation: window.dilationWidth,
      before: source.isPadded ? 0 : window.left)
    if source.isMerged {
      channels *= columns.count
      columns.count = 1
    }
  }

  /// Reads images whose channels are dense and whose pixels are evenly spaced.
  mutating func read(_ x: Operand, groups: Int) throws {
    let shape = x.shape
    _ = try index(x.layout.end)
    images = try index(shape[0])
    (height, width) = (try index(shape[2]), try index(shape[3]))
    channels = try index(shape[1] / groups)
    pitch = try index(x.layout.pixelPitch ?? shape[1])
    inOffset = try index(x.layout.offset)
  }

  /// Writes images whose channels are dense.
  mutating func write(_ layout: Layout, groups: Int) throws {
    out = try PixelPlace(layout)
    outputs = try index(layout.shape[1] / groups)
    (outHeight, outWidth) = (try index(layout.shape[2]), try index(layout.shape[3]))
  }
}

extension PixelPlace {
  init(_ layout: Layout) throws {
    _ = try index(layout.end)
    offset = try index(layout.offset)
    image = Int32(truncatingIfNeeded: layout.strides[0])
    row = Int32(truncatingIfNeeded: layout.strides[2])
    pixel = Int32(truncatingIfNeeded: layout.strides[3])
  }
}

extension Layout {
  /// Whether the channels of a pixel lie next to each other.
  var hasDenseChannels: Bool { strides[1] == 1 || shape[1] == 1 }

  /// Elements from a pixel to the next, where all pixels of all images follow one another evenly.
  var pixelPitch: Int? {
    guard hasDenseChannels else { return nil }
    let (n, h, w) = (shape[0], shape[2], shape[3])
    let pitch = w > 1 ? strides[3] : h > 1 ? strides[2] : n > 1 ? strides[0] : shape[1]
    if pitch < shape[1] { return nil }
    if h > 1 && strides[2] != w * pitch { return nil }
    if n > 1 && strides[0] != h * w * pitch { return nil }
    return pitch
  }
}

import ApusDevice

/// `Conv` of convolution.cl.
struct ConvolutionArguments: BitwiseCopyable {
  var images: Int32 = 0
  var height: Int32 = 0
  var width: Int32 = 0
  var channels: Int32 = 0
  var pitch: Int32 = 0
  var inOffset: Int32 = 0
  var outHeight: Int32 = 0
  var outWidth: Int32 = 0
  var outputs: Int32 = 0
  var out = PixelPlace()
  var addend = PixelPlace()
  var hasAddend: Int32 = 0
  var hasBias: Int32 = 0
  var biasOffset: Int32 = 0
  var rows = Taps()
  var columns = Taps()
  var firstTap: Int32 = 0
  var tapRow: Int32 = 0
  var tapColumn: Int32 = 0
  var panelSize: Int32 = 0
  var panels: Int32 = 0
  var front: Int32 = 0
  var pixels: Int32 = 0
  var panelsEach: Int32 = 0
  var parts: Int32 = 1
  var op: Int32 = -1
  var a: Float = 0
  var b: Float = 0

  /// Pixels of the grid of outputs.
  var outputPixels: Int { Int(images) * Int(outHeight) * Int(outWidth) }
}

/// Where the pixels of an image with dense channels lie.
struct PixelPlace: BitwiseCopyable {
  var offset: Int32 = 0
  var image: Int32 = 0
  var row: Int32 = 0
  var pixel: Int32 = 0
}

/// The taps of a window along one axis: input position `o · scale + base + i · step` of tap `i`.
struct Taps: BitwiseCopyable {
  var count: Int32 = 0
  var scale: Int32 = 0
  var base: Int32 = 0
  var step: Int32 = 0
}

extension Taps {
  init(kernel: Int, stride: Int, dilation: Int, before: Int) throws {
    count = try index(kernel)
    scale = try index(stride)
    base = -(try index(before))
    step = try index(dilation)
  }
}

/// One axis of an input gradient: the positions `phase + p · stride` of the input meet the same taps,
/// `first + i · every`, whose outputs are `p + base + i · step`.
struct GradientPhase {
  var extent: Int
  var first = 0
  var every = 1
  var taps = Taps()

  init(phase: Int, extent: Int, kernel: Int, stride: Int, dilation: Int, before: Int) throws {
    self.extent = (extent - phase + stride - 1) / stride
    taps.scale = 1
    let met = (0..<kernel).filter { (phase + before - $0 * dilation) % stride == 0 }
    guard let first = met.first else { return }
    self.first = first
    if met.count > 1 { every = met[1] - first }
    taps.count = try index(met.count)
    taps.base = try index((phase + before - first * dilation) / stride)
    taps.step = -(try index(every * dilation / stride))
  }
}

/// Widths of panels, tiles and parts, by shapes and device only, so that repeats agree bit for bit.
struct ConvolutionTiling {
  /// Output channels of a panel.
  var panel: Int
  var panels: Int
  /// Output pixels of a register tile, also the channels of one of the weight gradient.
  var tile: Int
  /// Registers across a panel.
  var vectors: Int
  /// What a tuner found to be faster than the usual way.
  var choice: ConvolutionChoice?

  init(outputs: Int, on device: OpenCLDeviceDescription, choice: ConvolutionChoice? = nil) {
    self.choice = choice
    if device.kind == .gpu {
      (panel, tile, vectors) = (64, 64, 1)
    } else {
      let width = device.vectorWidth >= 16 ? 16 : 8
      tile = width / 2
      let narrow = (outputs + width - 1) / width
      // A narrow panel does half of the work at 0.6 of the cost. Panels hold at least 16 channels.
      let isNarrow =
        choice.map { $0.vectors == 1 } ?? (Double(narrow) * 0.6 < Double((narrow + 1) / 2))
      vectors = width == 16 && isNarrow ? 1 : 2
      panel = vectors * width
    }
    panels = (outputs + panel - 1) / panel
  }

  var tileKernel: KernelID { vectors == 1 ? .conv_tile_1 : .conv_tile_2 }
  var weightsKernel: KernelID { vectors == 1 ? .conv_weights_1 : .conv_weights_2 }
}

extension ConvolutionArguments {
  /// Divides the pixels and panels of a launch of `conv_tile`; returns how many of each.
  mutating func divide(_ tiling: ConvolutionTiling, units: Int) -> (pixels: Int, panels: Int) {
    let pixelCount = outputPixels
    // Weights that fit the second-level cache beside the pixels are gone through for every tile, the
    // others panel by panel.
    let bytes = 4 * Int(panels) * Int(panelSize)
    panelsEach = tiling.choice?.sharesPixels ?? (bytes <= 400 << 10) ? panels : 1
    let columns = Int((panels + panelsEach - 1) / panelsEach)
    let tiles = (pixelCount + tiling.tile - 1) / tiling.tile
    let products =
      Int(rows.count) * Int(columnsCount) * Int(channels) * tiling.panel * Int(panelsEach)
    // Enough work to hide the start of a work-item, and enough work-items for a balance.
    let enough = 2_000_000 / max(products * tiling.tile, 1) + 1
    let balanced = (tiles * columns + 4 * units - 1) / (4 * units)
    let each = max(1, min(tiling.choice?.tiles ?? min(enough, balanced), tiles))
    pixels = Int32(truncatingIfNeeded: each * tiling.tile)
    return ((tiles + each - 1) / each, columns)
  }

  private var columnsCount: Int32 { columns.count }
}

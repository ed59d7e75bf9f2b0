import ApusDevice

/// When and in which pieces a convolution is computed by Winograd's method (see winograd_cpu.cl), by
/// shapes and device only.
struct WinogradPlan {
  /// Outputs along the edge of a tile: 4 for a window of 3, 2 for one of 5.
  var edge: Int
  /// Tiles of a work-item.
  var tiles: Int
  var items: Int
  var scratchBytes: Int

  /// Nil where the direct sum is better, or the only way.
  /// - Parameter outputs: `[images, channels, height, width]`.
  init?(
    _ convolution: Convolution, channels: Int, outputs: [Int], _ tiling: ConvolutionTiling,
    on device: OpenCLDeviceDescription
  ) {
    let window = convolution.window
    edge = 7 - window.height
    guard device.kind == .cpu, tiling.choice?.isWinograd != false,
      let total = Self.tiles(convolution, edge, channels: channels, outputs: outputs)
    else { return nil }
    // Few channels leave room for more tiles, which then share the fetches of weights.
    let units = max(device.computeUnits, 1)
    let wanted = (total + 4 * units - 1) / (4 * units)
    let limit = channels <= 16 ? 4 * tiling.tile : tiling.tile
    let row = (channels + 15) / 16 * 16
    let fixed = tiling.tile * tiling.panel + 2 * Self.skew
    let room = (Self.room(device) - fixed) / row / tiling.tile * tiling.tile
    guard room > 0 else { return nil }
    let usual = min(limit, (wanted + tiling.tile - 1) / tiling.tile * tiling.tile)
    tiles = max(tiling.tile, min(tiling.choice.map { $0.tiles * tiling.tile } ?? usual, room))
    items = (total + tiles - 1) / tiles
    scratchBytes = 4 * 36 * (tiles * row + fixed)
  }

  /// Elements of each of the 36 points that fit three quarters of the scratch area.
  static func room(_ device: OpenCLDeviceDescription) -> Int {
    device.localMemory / 4 * 3 / (4 * 36)
  }

  /// `SKEW` of winograd_cpu.cl.
  static let skew = 16

  /// The tiles of all images; nil where they are few or do not save enough.
  static func tiles(_ convolution: Convolution, _ edge: Int, channels: Int, outputs: [Int]) -> Int?
  {
    let window = convolution.window
    guard convolution.groups == 1, window.height == window.width,
      window.height == 3 || window.height == 5, window.strideHeight == 1, window.strideWidth == 1,
      window.dilationHeight == 1, window.dilationWidth == 1, channels >= 16, outputs[1] >= 16
    else { return nil }
    let (tall, wide) = ((outputs[2] + edge - 1) / edge, (outputs[3] + edge - 1) / edge)
    let total = outputs[0] * tall * wide
    // Products of the tiles, also of those that hang over the edge, against those of the direct sum.
    let direct = outputs[2] * outputs[3] * window.height * window.width
    return total >= 64 && tall * wide * 36 * 5 < direct * 3 ? total : nil
  }
}

/// The same for a weight gradient.
struct WinogradWeightsPlan {
  var edge: Int
  /// Tiles of a part, and of those the tiles that are transformed at a time.
  var part: Int
  var tiles: Int
  var parts: Int
  /// Channels of a work-item.
  var channels: Int
  var blocks: Int
  var scratchBytes: Int

  init?(
    _ convolution: Convolution, channels all: Int, outputs: [Int], _ tiling: ConvolutionTiling,
    on device: OpenCLDeviceDescription
  ) {
    edge = 7 - convolution.window.height
    guard device.kind == .cpu, tiling.choice?.isWinograd != false,
      let total = WinogradPlan.tiles(convolution, edge, channels: all, outputs: outputs)
    else { return nil }
    channels = min(all, 64)
    blocks = (all + channels - 1) / channels
    let row = (channels + 15) / 16 * 16
    // What is transformed at a time stays in the second-level cache beside its sums.
    let room = WinogradPlan.room(device) - 2 * WinogradPlan.skew
    let wanted = tiling.choice?.tiles ?? (row <= 16 ? 64 : row <= 32 ? 48 : 32)
    tiles = min(max(wanted, 4), room / (row + tiling.panel))
    guard tiles >= 4 else { return nil }
    let units = max(device.computeUnits, 1)
    let cuts = max(
      1, tiling.choice?.parts ?? (4 * units + tiling.panels * blocks - 1) / (tiling.panels * blocks)
    )
    part = max(1, ((total + cuts - 1) / cuts + tiles - 1) / tiles) * tiles
    parts = (total + part - 1) / part
    scratchBytes = 4 * 36 * (tiles * (row + tiling.panel) + 2 * WinogradPlan.skew)
  }
}

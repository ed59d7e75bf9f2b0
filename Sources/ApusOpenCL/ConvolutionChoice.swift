import ApusDevice

/// The parameters of a convolution's plan: the space that a tuner searches.
///
/// On a CPU kind a forward pass (or an input gradient) may sum directly or by Winograd's method, over panels
/// of one or two registers, in pieces of more or fewer tiles. A weight gradient is cut in parts. A GPU kind
/// has tiles by rows or by warps, and the parts of the weight gradient.
struct ConvolutionChoice: Hashable {
  var isWinograd: Bool
  /// Registers across a panel; on a GPU 2 for tiles by warps.
  var vectors: Int
  /// Tiles of a work-item.
  var tiles: Int
  /// Whether all panels of weights are gone through for every tile, else panel by panel.
  var sharesPixels: Bool
  /// Parts of the pixels of a weight gradient.
  var parts: Int

  /// As the database keeps it.
  var numbers: [Int] { [isWinograd ? 1 : 0, vectors, tiles, sharesPixels ? 1 : 0, parts] }

  init(
    isWinograd: Bool = false, vectors: Int = 1, tiles: Int = 0, sharesPixels: Bool = false,
    parts: Int = 0
  ) {
    (self.isWinograd, self.vectors, self.tiles) = (isWinograd, vectors, tiles)
    (self.sharesPixels, self.parts) = (sharesPixels, parts)
  }

  /// Nil where the numbers are none of a choice.
  init?(_ numbers: [Int]) {
    guard numbers.count == 5, (1...2).contains(numbers[1]), (0...1 << 20).contains(numbers[2]),
      (0...64).contains(numbers[4])
    else { return nil }
    self.init(
      isWinograd: numbers[0] == 1, vectors: numbers[1], tiles: numbers[2],
      sharesPixels: numbers[3] == 1, parts: numbers[4])
  }
}

extension Convolution {
  /// What decides which plan is the fastest. Images are `[N, C, H, W]`.
  func tuningKey(_ operation: String, from: [Int], to: [Int]) -> TuningKey {
    TuningKey(
      operation: operation,
      sizes: from + Array(to.dropFirst()) + [
        window.height, window.width, window.strideHeight, window.strideWidth, window.dilationHeight,
        window.dilationWidth, window.top, window.left, groups,
      ])
  }
}

extension OpenCLBackend {
  /// The tiling of a forward pass, or of an input gradient, which is one from `dy` to `dx`.
  /// - Parameters:
  ///   - channels: Those that a group sums over.
  ///   - outputs: Channels of a group of the result.
  func tiling(
    _ operation: String, _ convolution: Convolution, from: [Int], to: [Int], channels: Int,
    outputs: Int
  ) -> ConvolutionTiling {
    let numbers = tuned(convolution.tuningKey(operation, from: from, to: to)) {
      ConvolutionTiling.candidates(
        convolution, channels: channels, outputs: to, of: outputs, on: description)
    }
    return ConvolutionTiling(
      outputs: outputs, on: description, choice: numbers.flatMap(ConvolutionChoice.init))
  }

  func weightsTiling(_ convolution: Convolution, _ x: [Int], _ dy: [Int], _ dw: [Int])
    -> ConvolutionTiling
  {
    let outputs = dw[0] / convolution.groups
    let numbers = tuned(
      convolution.tuningKey("convolutionWeightGradient", from: x, to: dy)
    ) {
      ConvolutionTiling.weightsCandidates(convolution, channels: dw[1], dy: dy, on: description)
    }
    return ConvolutionTiling(
      outputs: outputs, on: description, choice: numbers.flatMap(ConvolutionChoice.init))
  }
}

extension ConvolutionTiling {
  private static func widths(_ device: OpenCLDeviceDescription) -> [Int] {
    device.vectorWidth >= 16 ? [2, 1] : [2]
  }

  fileprivate static func candidates(
    _ convolution: Convolution, channels: Int, outputs: [Int], of group: Int,
    on device: OpenCLDeviceDescription
  ) -> [TuningCandidate] {
    if device.kind == .gpu {
      return [TuningCandidate(ConvolutionChoice(vectors: 2).numbers, isAlike: false)]
    }
    let usual = ConvolutionTiling(outputs: group, on: device)
    var choices: [ConvolutionChoice] = []
    func winograd(_ tiling: ConvolutionTiling) -> WinogradPlan? {
      WinogradPlan(convolution, channels: channels, outputs: outputs, tiling, on: device)
    }
    let usualPlan = winograd(usual)
    if let usualPlan {
      for vectors in widths(device) {
        for tiles in [1, 2, 3, 4, 6, 8, 12, 16] {
          let choice = ConvolutionChoice(isWinograd: true, vectors: vectors, tiles: tiles)
          let tiling = ConvolutionTiling(outputs: group, on: device, choice: choice)
          guard let plan = winograd(tiling), plan.tiles == tiles * tiling.tile,
            vectors != usual.vectors || plan.tiles != usualPlan.tiles
          else { continue }
          choices.append(choice)
        }
      }
    }
    let pixels = outputs[0] * outputs[2] * outputs[3]
    for vectors in widths(device) {
      for tiles in [1, 2, 4, 8, 16, 32, 64] where tiles == 1 || tiles * usual.tile < pixels {
        for sharesPixels in [true, false] where sharesPixels || group > vectors * 16 {
          choices.append(
            ConvolutionChoice(vectors: vectors, tiles: tiles, sharesPixels: sharesPixels))
        }
      }
    }
    return choices.map {
      TuningCandidate(
        $0.numbers,
        isAlike: $0.isWinograd == (usualPlan != nil) && $0.vectors == usual.vectors)
    }
  }

  fileprivate static func weightsCandidates(
    _ convolution: Convolution, channels: Int, dy: [Int], on device: OpenCLDeviceDescription
  ) -> [TuningCandidate] {
    let group = dy[1] / convolution.groups
    let cuts = [1, 2, 4, 8, 16, 32, 64]
    if device.kind == .gpu {
      return cuts.map { TuningCandidate(ConvolutionChoice(parts: $0).numbers, isAlike: false) }
    }
    var choices: [ConvolutionChoice] = []
    for vectors in widths(device) {
      for tiles in [8, 16, 24, 32, 48, 64] {
        for parts in [2, 4, 8, 16] {
          let choice = ConvolutionChoice(
            isWinograd: true, vectors: vectors, tiles: tiles, parts: parts)
          let tiling = ConvolutionTiling(outputs: group, on: device, choice: choice)
          let plan = WinogradWeightsPlan(
            convolution, channels: channels, outputs: dy, tiling, on: device)
          if plan?.tiles == tiles { choices.append(choice) }
        }
      }
    }
    for vectors in widths(device) {
      choices += cuts.map { ConvolutionChoice(vectors: vectors, parts: $0) }
    }
    return choices.map { TuningCandidate($0.numbers, isAlike: false) }
  }
}

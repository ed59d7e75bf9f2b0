import ApusDevice

private let sizes: [([Int], Int, Int)] = [
  ([1, 1, 1, 1], 1, 1), ([2, 3, 4, 5], 8, 10), ([2, 17, 5, 3], 7, 11), ([1, 4, 9, 8], 4, 3),
  ([2, 5, 1, 13], 1, 29), ([1, 3, 6, 1], 1, 4), ([3, 6, 5, 7], 5, 7), ([0, 2, 3, 3], 6, 6),
  ([2, 40, 12, 11], 24, 33), ([1, 2, 3, 4], 5, 7),
]

private func trials(
  _ upsamplings: [Upsampling], isBackward: Bool
) -> [Trial] {
  upsamplings.flatMap { upsampling in
    sizes.map { input, height, width in
      let upsampling = upsampling.fitting(input, height, width)
      let output = [input[0], input[1], height, width]
      let terms = (height / input[2] + 1) * (width / input[3] + 1)
      return Trial(
        operation: isBackward ? .upsampleBackward(upsampling) : .upsample(upsampling),
        inputs: [Input(isBackward ? output : input, .uniform(-2, 2))],
        outputs: [Output(isBackward ? input : output)], scale: 1,
        terms: isBackward ? terms : 1, placements: imagePlacements([input, output]))
    }
  }
}

extension Upsampling {
  /// Where it has a scale, one that leads to just these sizes.
  fileprivate func fitting(_ input: [Int], _ height: Int, _ width: Int) -> Upsampling {
    guard scale != nil else { return self }
    func between(_ output: Int, _ input: Int) -> Double { (Double(output) + 0.4) / Double(input) }
    let fitted = Scale(height: between(height, input[2]), width: between(width, input[3]))
    return Upsampling(mode, alignsCorners: alignsCorners, scale: fitted)
  }
}

private let someScale = Upsampling.Scale(height: 1, width: 1)

private let nearest = [Upsampling(.nearest), Upsampling(.nearest, scale: someScale)]

private let bilinear = [
  Upsampling(.bilinear), Upsampling(.bilinear, alignsCorners: true),
  Upsampling(.bilinear, scale: someScale),
]

let upsamplingCases: [OpCase] = [
  OpCase("upsample nearest", .exact, trials(nearest, isBackward: false)),
  OpCase(
    "upsample bilinear", .rounding(1e-5, "the place between two pixels is rounded"),
    trials(bilinear, isBackward: false)),
  OpCase(
    "upsampleBackward nearest", .rounding(1e-6, "a sum over the pixels that look at one"),
    trials(nearest, isBackward: true)),
  OpCase(
    "upsampleBackward bilinear", .rounding(1e-5, "the place between two pixels is rounded"),
    trials(bilinear, isBackward: true)),
]

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

private let bilinear = [Upsampling(.bilinear), Upsampling(.bilinear, alignsCorners: true)]

let upsamplingCases: [OpCase] = [
  OpCase("upsample nearest", .exact, trials([Upsampling(.nearest)], isBackward: false)),
  OpCase(
    "upsample bilinear", .rounding(1e-5, "the place between two pixels is rounded"),
    trials(bilinear, isBackward: false)),
  OpCase(
    "upsampleBackward nearest", .rounding(1e-6, "a sum over the pixels that look at one"),
    trials([Upsampling(.nearest)], isBackward: true)),
  OpCase(
    "upsampleBackward bilinear", .rounding(1e-5, "the place between two pixels is rounded"),
    trials(bilinear, isBackward: true)),
]

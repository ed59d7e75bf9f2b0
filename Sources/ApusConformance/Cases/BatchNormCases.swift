import ApusDevice

private let shapes: [[Int]] = [
  [2, 1, 1, 1], [5, 7, 1, 1], [2, 3, 4, 5], [1, 4, 3, 3], [2, 33, 1, 9], [3, 64, 7, 7],
  [2, 5, 40, 41], [8, 130, 5, 6], [70, 19, 1, 1],
]
private let small = Values.uniform(-2, 2)

private struct Variant {
  let isAffine, tracksStatistics, hasAddend: Bool
  let activation: UnaryOp?

  init(_ isAffine: Bool, _ tracks: Bool, _ hasAddend: Bool, _ activation: UnaryOp? = nil) {
    self.isAffine = isAffine
    tracksStatistics = tracks
    self.hasAddend = hasAddend
    self.activation = activation
  }

  var norm: BatchNormalization {
    BatchNormalization(
      epsilon: 1e-5, momentum: 0.2, isAffine: isAffine, tracksStatistics: tracksStatistics,
      hasAddend: hasAddend, activation: activation)
  }
}

private func variants(_ shape: [Int]) -> [Variant] {
  let usual = [Variant(false, false, false), Variant(true, true, false, .relu)]
  guard shape == [2, 3, 4, 5] || shape == [2, 33, 1, 9] else {
    return usual + [Variant(true, true, true, .relu)]
  }
  return usual + [
    Variant(true, false, false), Variant(false, true, false), Variant(true, true, false),
    Variant(true, true, true), Variant(false, false, true, .tanh), Variant(true, true, true, .relu),
    Variant(true, false, true, .sigmoid), Variant(true, true, false, .leakyReLU(slope: 0.1)),
    Variant(false, true, true, .elu(alpha: 1)),
  ]
}

package let batchNormCases: [OpCase] = [
  OpCase(
    "batchNorm", .rounding(8e-6, "two means over the channel, then a quotient"),
    shapes.flatMap { shape in
      variants(shape).map { variant in
        let channels = [shape[1]]
        var inputs = [Input(shape, .uniform(-1, 4))]
        var outputs = [Output(shape), Output(channels), Output(channels)]
        if variant.isAffine { inputs += [Input(channels, small), Input(channels, small)] }
        if variant.tracksStatistics {
          inputs += [Input(channels, small), Input(channels, .uniform(0.5, 2))]
          outputs += [Output(channels), Output(channels)]
        }
        if variant.hasAddend { inputs.append(Input(shape, small)) }
        // Values repeated along the batch may have no variance at all.
        return Trial(
          operation: .batchNorm(variant.norm), inputs: inputs, outputs: outputs, scale: 1,
          placements: imagePlacements([shape]).filter { $0 != .repeatedFirst })
      }
    }),
  OpCase(
    "batchNormBackward", .rounding(8e-6, "four means over the channel"),
    shapes.flatMap { shape in
      variants(shape).map { variant in
        let channels = [shape[1]]
        return Trial(
          operation: .batchNormBackward(variant.norm),
          inputs: [
            Input(shape, small), Input(shape, .uniform(-0.9, 0.9)),
            Input(channels, .uniform(-0.5, 0.5)), Input(channels, .uniform(0.3, 1)),
            Input(shape, small),
          ] + (variant.isAffine ? [Input(channels, small)] : []),
          outputs: [Output(shape)]
            + (variant.isAffine ? [Output(channels), Output(channels)] : [])
            + (variant.hasAddend ? [Output(shape)] : []),
          scale: 1, terms: shape[0] * shape[2] * shape[3], placements: imagePlacements([shape]))
      }
    }),
  OpCase(
    "batchNormInference", .rounding(4e-6, "a root, a quotient and a few products"),
    (shapes + [[0, 3, 2, 2], [1, 1, 1, 1]]).flatMap { shape in
      variants(shape).map { variant in
        let channels = [shape[1]]
        return Trial(
          operation: .batchNormInference(variant.norm),
          inputs: [
            Input(shape, small), Input(channels, small), Input(channels, .uniform(0.5, 2)),
          ] + (variant.isAffine ? [Input(channels, small), Input(channels, small)] : [])
            + (variant.hasAddend ? [Input(shape, small)] : []),
          outputs: [Output(shape)], scale: 1, placements: imagePlacements([shape]))
      }
    }),
]

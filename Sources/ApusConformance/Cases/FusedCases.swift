import ApusDevice

private let tables: [[Int]] = [
  [1, 1], [7, 10], [33, 64], [3, 1000], [600, 17], [2, 5003], [0, 4], [1, 129], [1100, 70],
]
private let wide = Values.uniform(-6, 6)
private let small = Values.uniform(-2, 2)

/// Views for tensors of moderate size only.
private func placements(_ shape: [Int]) -> [Placement] {
  shape.reduce(1, *) < 15_000
    ? [.dense, .offset, .transposed, .stepped, .repeatedFirst, .stridedOutput, .mixed] : [.dense]
}

private func rows(
  _ name: String, _ operation: Operation, _ inputs: [Values], scale: Double, _ tolerance: Tolerance
) -> OpCase {
  let shapes = tables + [[5], [2, 3, 35], [2, 0, 3]]
  return OpCase(
    name, tolerance,
    shapes.map { shape in
      Trial(
        operation: operation, inputs: inputs.map { Input(shape, $0) }, outputs: [Output(shape)],
        scale: scale, placements: placements(shape))
    })
}

let fusedCases: [OpCase] = [
  OpCase("linear", .rounding(4e-6, "a dot product, then the activation"), linearTrials),
  OpCase(
    "linearActivationBackward", .rounding(2e-6, "a derivative, then a sum over rows"),
    activationBackwardTrials),
  rows(
    "softmax", .softmax, [wide], scale: 1e-3,
    .rounding(4e-6, "the argument of the exponential is rounded")),
  rows(
    "logSoftmax", .logSoftmax, [wide], scale: 1,
    .rounding(2e-6, "a sum of exponentials and its logarithm")),
  rows(
    "softmaxBackward", .softmaxBackward, [.uniform(0, 0.3), small], scale: 16,
    .rounding(2e-6, "a dot product over the row")),
  rows(
    "logSoftmaxBackward", .logSoftmaxBackward, [.uniform(-6, 0), small], scale: 64,
    .rounding(2e-6, "a sum over the row")),
  OpCase(
    "crossEntropy", .rounding(4e-6, "a log-softmax and a weighted sum over the row"),
    crossEntropyTrials),
  OpCase(
    "layerNorm", .rounding(8e-6, "two means over the row, then a quotient"), layerNormTrials),
  OpCase(
    "layerNormBackward", .rounding(8e-6, "four means over rows and columns"),
    layerNormBackwardTrials),
  OpCase(
    "dropout", .rounding(0x1p-22, "a product with the rounded reciprocal"),
    (denseShapes + stridedShapes).flatMap { shape in
      [Float(0), 0.3, 1].map { probability in
        Trial(
          operation: .dropout(probability: probability, key: RandomKey(7)),
          inputs: [Input(shape, small)], outputs: [Output(shape)],
          placements: shape.reduce(1, *) < 15_000
            ? [.dense, .offset, .transposed, .stridedOutput] : [.dense])
      }
    }),
  OpCase(
    "sumOfSquares", .rounding(2e-6, "a long sum"),
    [[[7]], [[70_003]], [[5, 3], [], [1037], [0]], [[0]], [[17, 19, 23], [300, 70]], []]
      .map { shapes in
        Trial(
          operation: .sumOfSquares, inputs: shapes.map { Input($0, small) }, outputs: [Output([])],
          scale: 1, placements: [.dense, .offset, .transposed, .stepped])
      }),
]

private let activations: [UnaryOp?] = [
  nil, .relu, .tanh, .sigmoid, .gelu, .geluTanh, .silu, .leakyReLU(slope: 0.1), .elu(alpha: 1),
  .softplus(beta: 1, threshold: 20), .square,
]

private var linearTrials: [Trial] {
  let sizes = [
    [1, 1, 1], [5, 7, 3], [33, 17, 65], [64, 64, 64], [128, 130, 70], [0, 3, 4], [3, 0, 4],
    [1, 300, 257], [200, 100, 90],
  ]
  var trials: [Trial] = []
  for size in sizes {
    let (m, k, n) = (size[0], size[1], size[2])
    for (i, activation) in activations.enumerated() where i < 2 || m == 33 {
      for hasBias in [false, true] {
        let inputs = [Input([m, k], small), Input([n, k], small)]
        trials.append(
          Trial(
            operation: .linear(activation: activation),
            inputs: inputs + (hasBias ? [Input([n], small)] : []), outputs: [Output([m, n])],
            scale: activation == .square ? 40 : 1, terms: k,
            placements: placements([m, n])))
      }
    }
  }
  return trials
}

private var activationBackwardTrials: [Trial] {
  var trials: [Trial] = []
  // Many rows in parts, of columns that are read in runs.
  for shape in tables + [[520, 260]] {
    let activations: [UnaryOp?] = [
      nil, .relu, .tanh, .sigmoid, .leakyReLU(slope: 0.1), .elu(alpha: 1), .exp,
    ]
    for activation in activations {
      for hasBias in [false, true] {
        trials.append(
          Trial(
            operation: .linearActivationBackward(activation: activation),
            inputs: [Input(shape, .uniform(-0.9, 0.9)), Input(shape, small)],
            outputs: [Output(shape)] + (hasBias ? [Output([shape[1]])] : []),
            scale: 1, terms: shape[0],
            placements: shape == [33, 64] ? placements(shape) : [.dense, .mixed]))
      }
    }
  }
  return trials
}

private var crossEntropyTrials: [Trial] {
  var trials: [Trial] = []
  for shape in tables {
    let (n, c) = (shape[0], shape[1])
    let targets = (0..<max(n, 1)).map { $0 % 5 == 4 ? -100 : Double($0 * 7 % c) }
    for smoothing in [Float(0), 0.1] {
      for hasWeights in [false, true] {
        for hasGradient in [false, true] {
          trials.append(
            Trial(
              operation: .crossEntropy(labelSmoothing: smoothing, ignoreIndex: -100),
              inputs: [Input(shape, wide), Input([n], .int32, .list(targets))]
                + (hasWeights ? [Input([c], .uniform(0.2, 2))] : []),
              outputs: [Output([n]), Output([n])] + (hasGradient ? [Output(shape)] : []),
              scale: 1, placements: placements(shape)))
        }
      }
    }
  }
  return trials
}

private var layerNormTrials: [Trial] {
  tables.filter { $0[1] > 1 }.flatMap { shape in
    [false, true].map { hasWeight in
      let parameters = [Input([shape[1]], small), Input([shape[1]], small)]
      return Trial(
        operation: .layerNorm(epsilon: 1e-5),
        inputs: [Input(shape, .uniform(-1, 4))] + (hasWeight ? parameters : []),
        outputs: [Output(shape), Output([shape[0]]), Output([shape[0]])], scale: 1,
        placements: placements(shape))
    }
  }
}

private var layerNormBackwardTrials: [Trial] {
  tables.flatMap { shape in
    let (r, c) = (shape[0], shape[1])
    return [false, true].flatMap { hasWeight in
      [false, true].map { hasGradients in
        Trial(
          operation: .layerNormBackward,
          inputs: [
            Input(shape, small), Input([r], .uniform(-0.5, 0.5)), Input([r], .uniform(0.3, 1)),
            Input(shape, small),
          ] + (hasWeight ? [Input([c], small)] : []),
          outputs: [Output(shape)] + (hasGradients ? [Output([c]), Output([c])] : []),
          scale: 1, terms: r, placements: placements(shape))
      }
    }
  }
}

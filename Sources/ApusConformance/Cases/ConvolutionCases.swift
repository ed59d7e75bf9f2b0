import ApusDevice

private struct Shape {
  let sliding: Sliding
  let channels: Int
  let groups: Int

  init(_ sliding: Sliding, _ channels: Int, groups: Int = 1) {
    self.sliding = sliding
    self.channels = channels
    self.groups = groups
  }

  var convolution: Convolution { Convolution(sliding.window, groups: groups) }
  var input: [Int] { sliding.input }
  var output: [Int] { sliding.output(channels) }
  var weight: [Int] {
    [channels, input[1] / groups, sliding.window.height, sliding.window.width]
  }
}

private let shapes: [Shape] = [
  // One pixel; 1 × 1 kernels with odd channels, with a stride, and with enough of everything.
  Shape(Sliding([1, 1, 1, 1], kernel: (1, 1)), 1),
  Shape(Sliding([2, 5, 4, 3], kernel: (1, 1)), 7),
  Shape(Sliding([2, 17, 5, 6], kernel: (1, 1), stride: (2, 2)), 19),
  Shape(Sliding([2, 64, 8, 9], kernel: (1, 1)), 70),
  // What networks use.
  Shape(Sliding([1, 3, 16, 15], kernel: (3, 3), padding: (1, 1, 1, 1)), 16),
  Shape(Sliding([2, 16, 12, 13], kernel: (3, 3), padding: (1, 1, 1, 1)), 17),
  Shape(Sliding([2, 7, 9, 11], kernel: (3, 3), stride: (2, 2), padding: (1, 1, 1, 1)), 9),
  Shape(Sliding([1, 3, 21, 18], kernel: (7, 7), stride: (2, 2), padding: (3, 3, 3, 3)), 8),
  Shape(Sliding([3, 1, 12, 12], kernel: (5, 5)), 6),
  Shape(Sliding([3, 32, 14, 14], kernel: (3, 3), padding: (1, 1, 1, 1)), 48),
  // Stride beyond the kernel; kernel beyond the image; dilation; a side padded more than the other.
  Shape(Sliding([2, 3, 10, 11], kernel: (2, 1), stride: (3, 4)), 4),
  Shape(Sliding([2, 3, 2, 3], kernel: (4, 5), padding: (2, 2, 1, 1)), 5),
  Shape(
    Sliding(
      [2, 4, 11, 9], kernel: (3, 2), stride: (1, 2), dilation: (2, 3), padding: (2, 2, 1, 1)),
    5),
  Shape(Sliding([1, 6, 5, 7], kernel: (2, 4), padding: (0, 1, 1, 2)), 3),
  // Padding beyond the kernel: whole rows of the output see nothing.
  Shape(Sliding([1, 2, 3, 3], kernel: (2, 2), padding: (3, 3, 2, 2)), 3),
  // Groups; depthwise, with one and two outputs per channel; more channels than a vector has lanes.
  Shape(Sliding([2, 4, 6, 5], kernel: (3, 3), padding: (1, 1, 1, 1)), 6, groups: 2),
  Shape(
    Sliding([1, 32, 6, 6], kernel: (3, 3), stride: (2, 2), padding: (1, 1, 1, 1)), 32, groups: 4),
  Shape(Sliding([2, 19, 7, 8], kernel: (3, 3), padding: (1, 1, 1, 1)), 19, groups: 19),
  Shape(
    Sliding([1, 40, 13, 9], kernel: (3, 3), stride: (2, 2), padding: (1, 1, 1, 1)), 40, groups: 40),
  Shape(
    Sliding([2, 5, 6, 5], kernel: (2, 3), dilation: (2, 1), padding: (1, 1, 1, 1)), 10, groups: 5),
  // Depthwise with stride 1 on rows of some vectors and a part of one; windows of 5 and of other sizes;
  // padding beyond the window, and less of it than the window asks for.
  Shape(Sliding([2, 3, 11, 56], kernel: (3, 3), padding: (1, 1, 1, 1)), 3, groups: 3),
  Shape(Sliding([2, 4, 9, 37], kernel: (5, 5), padding: (2, 2, 2, 2)), 4, groups: 4),
  Shape(Sliding([1, 3, 10, 35], kernel: (3, 3)), 3, groups: 3),
  Shape(Sliding([1, 2, 6, 21], kernel: (3, 3), padding: (3, 3, 4, 3)), 2, groups: 2),
  Shape(
    Sliding([1, 2, 12, 40], kernel: (3, 3), dilation: (2, 3), padding: (2, 2, 3, 3)), 2, groups: 2),
  Shape(Sliding([2, 3, 9, 18], kernel: (7, 4), padding: (3, 3, 1, 2)), 3, groups: 3),
  // Few enough elements for a simulated device.
  Shape(Sliding([1, 2, 4, 17], kernel: (3, 3), padding: (1, 1, 1, 1)), 2, groups: 2),
  Shape(Sliding([1, 1, 6, 20], kernel: (5, 5), padding: (2, 2, 2, 2)), 1),
  Shape(Sliding([1, 3, 4, 4], kernel: (3, 3), padding: (1, 1, 1, 1)), 3),
  Shape(Sliding([1, 17, 1, 2], kernel: (1, 1)), 5),
  Shape(Sliding([2, 2, 5, 5], kernel: (2, 2), stride: (2, 2), dilation: (2, 2)), 3),
  Shape(Sliding([1, 1, 2, 3], kernel: (4, 5), padding: (2, 2, 1, 1)), 2),
  Shape(Sliding([1, 2, 7, 8], kernel: (2, 1), stride: (3, 4)), 3),
  Shape(Sliding([1, 4, 4, 3], kernel: (2, 2)), 4, groups: 2),
  Shape(Sliding([1, 5, 4, 4], kernel: (3, 3), padding: (1, 1, 1, 1)), 5, groups: 5),
  Shape(Sliding([2, 3, 1, 9], kernel: (1, 3), padding: (0, 0, 1, 1)), 4),
  // Sequences; no images at all.
  Shape(Sliding([2, 6, 1, 30], kernel: (1, 5), stride: (1, 2), padding: (0, 0, 2, 2)), 10),
  Shape(Sliding([3, 8, 1, 19], kernel: (1, 3), padding: (0, 0, 1, 1)), 8, groups: 8),
  Shape(Sliding([0, 3, 5, 5], kernel: (3, 3)), 4),
]

/// Enough pixels and channels for Winograd's method where a device has it; tiles hang over the edges.
private let large: [Shape] = [
  Shape(Sliding([2, 24, 27, 25], kernel: (3, 3), padding: (1, 1, 1, 1)), 40),
  Shape(Sliding([4, 16, 18, 17], kernel: (3, 3)), 17),
  Shape(Sliding([3, 70, 17, 20], kernel: (3, 3), padding: (2, 1, 0, 2)), 16),
  Shape(Sliding([2, 20, 15, 13], kernel: (5, 5), padding: (2, 2, 2, 2)), 33),
  Shape(Sliding([64, 16, 4, 4], kernel: (3, 3), padding: (1, 1, 1, 1)), 16),
]

private let small = Values.uniform(-2, 2)

// Direct sums keep to 4e-6. Winograd's algorithm, F(4, 3) and F(2, 5), sums transformed values, which
// are larger than the products they stand for; 6e-6 was the worst met.
let convolutionCases: [OpCase] = [
  OpCase(
    "convolution",
    .rounding(8e-6, "a sum of products, perhaps by Winograd's algorithm, then the activation"),
    forward),
  OpCase(
    "convolutionInputGradient",
    .rounding(8e-6, "a sum of products, perhaps by Winograd's algorithm"), inputGradients),
  OpCase(
    "convolutionWeightGradient",
    .rounding(8e-6, "a sum of products, perhaps by Winograd's algorithm"), weightGradients),
  OpCase(
    "convolutionBackward", .rounding(8e-6, "a sum of products, perhaps by Winograd's algorithm"),
    backward),
  OpCase("convolution of many pixels", .rounding(1.2e-5, winograd), largeForward),
  OpCase(
    "convolutionInputGradient of many pixels", .rounding(1.2e-5, winograd),
    inputGradientTrials(of: large)),
  OpCase(
    "convolutionWeightGradient of many pixels", .rounding(1.2e-5, winograd),
    weightGradientTrials(of: large)),
]

private let winograd =
  "Winograd's transforms, whose rounding is two to three times that of the direct sum"

private var forward: [Trial] {
  shapes.enumerated().flatMap { i, shape in
    var variants: [(parts: Int, activation: UnaryOp?)] = [(0, nil), (1, .relu), (2, .relu)]
    if i == 1 || i == 6 || i == 15 {
      variants += [
        (1, nil), (2, nil), (0, .relu), (1, .tanh), (2, .sigmoid), (1, .gelu), (0, .silu),
        (1, .leakyReLU(slope: 0.1)), (2, .elu(alpha: 1)), (1, .softplus(beta: 1, threshold: 20)),
      ]
    }
    return variants.map { parts, activation in
      let extra = [Input([shape.channels], small), Input(shape.output, small)]
      return Trial(
        operation: .convolution(shape.convolution, activation: activation),
        inputs: [Input(shape.input, small), Input(shape.weight, small)] + extra.prefix(parts),
        outputs: [Output(shape.output)], scale: 1,
        terms: shape.weight[1...].reduce(1, *),
        placements: imagePlacements([shape.input, shape.output]))
    }
  }
}

private var largeForward: [Trial] {
  large.flatMap { shape in
    [(0, nil), (2, UnaryOp.relu)].map { parts, activation in
      let extra = [Input([shape.channels], small), Input(shape.output, small)]
      return Trial(
        operation: .convolution(shape.convolution, activation: activation),
        inputs: [Input(shape.input, small), Input(shape.weight, small)] + extra.prefix(parts),
        outputs: [Output(shape.output)], scale: 1,
        terms: shape.weight[1...].reduce(1, *), placements: [.dense, .channelsLast])
    }
  }
}

private func inputGradientTrials(of shapes: [Shape]) -> [Trial] {
  shapes.map { shape in
    Trial(
      operation: .convolutionInputGradient(shape.convolution),
      inputs: [Input(shape.output, small), Input(shape.weight, small)],
      outputs: [Output(shape.input)], scale: 1,
      terms: shape.channels / shape.groups * shape.sliding.area,
      placements: imagePlacements([shape.input, shape.output]))
  }
}

private var inputGradients: [Trial] {
  inputGradientTrials(of: shapes)
    + partial.map { shape, output in
      Trial(
        operation: .convolutionInputGradient(shape.convolution),
        inputs: [Input(output, small), Input(shape.weight, small)], outputs: [Output(shape.input)],
        scale: 1, terms: shape.channels / shape.groups * shape.sliding.area,
        placements: imagePlacements([shape.input]))
    }
}

private func weightGradientTrials(of shapes: [Shape]) -> [Trial] {
  shapes.flatMap { shape in
    [false, true].map { hasBias in
      Trial(
        operation: .convolutionWeightGradient(shape.convolution),
        inputs: [Input(shape.input, small), Input(shape.output, small)],
        outputs: [Output(shape.weight)] + (hasBias ? [Output([shape.channels])] : []), scale: 1,
        terms: shape.input[0] * shape.sliding.height * shape.sliding.width,
        placements: imagePlacements([shape.input, shape.output]) + [.repeatedPixels])
    }
  }
}

/// Both gradients at once.
private var backward: [Trial] {
  shapes.flatMap { shape in
    [false, true].map { hasBias in
      Trial(
        operation: .convolutionBackward(shape.convolution),
        inputs: [
          Input(shape.input, small), Input(shape.output, small), Input(shape.weight, small),
        ],
        outputs: [Output(shape.input), Output(shape.weight)]
          + (hasBias ? [Output([shape.channels])] : []), scale: 1,
        terms: max(
          shape.input[0] * shape.sliding.height * shape.sliding.width,
          shape.channels / shape.groups * shape.sliding.area),
        placements: imagePlacements([shape.input, shape.output]) + [.repeatedPixels])
    }
  }
}

private var weightGradients: [Trial] {
  weightGradientTrials(of: shapes)
    + partial.map { shape, output in
      Trial(
        operation: .convolutionWeightGradient(shape.convolution),
        inputs: [Input(shape.input, small), Input(output, small)], outputs: [Output(shape.weight)],
        scale: 1, terms: output[0] * output[2] * output[3],
        placements: imagePlacements([shape.input]))
    }
}

/// Fewer windows than the input has room for: a transposed convolution with output padding.
private let partial: [(Shape, [Int])] = [
  (Shape(Sliding([2, 3, 8, 7], kernel: (2, 3), dilation: (3, 2)), 5), [2, 5, 3, 2]),
  (Shape(Sliding([1, 6, 6, 9], kernel: (2, 2), stride: (3, 3)), 4, groups: 2), [1, 4, 1, 2]),
]

import ApusDevice

private let windows: [Sliding] = [
  Sliding([1, 1, 1, 1], kernel: (1, 1)),
  Sliding([2, 3, 6, 8], kernel: (2, 2), stride: (2, 2)),
  Sliding([2, 17, 9, 8], kernel: (3, 3), stride: (2, 2), padding: (1, 1, 1, 1)),
  Sliding([1, 5, 7, 6], kernel: (3, 2), padding: (1, 1, 1, 1)),
  Sliding([2, 2, 9, 10], kernel: (2, 2), stride: (3, 4)),
  Sliding([2, 19, 6, 7], kernel: (3, 2), stride: (2, 2), padding: (1, 1, 0, 0), overhang: true),
  Sliding([1, 3, 5, 5], kernel: (3, 3), stride: (4, 4), overhang: true),
  // Larger than the padded input: one window that hangs over its end.
  Sliding([2, 5, 2, 2], kernel: (3, 3), stride: (2, 2), overhang: true),
  Sliding([1, 3, 1, 6], kernel: (2, 2), stride: (4, 4), overhang: true),
  Sliding([2, 2, 3, 1], kernel: (5, 4), stride: (3, 4), padding: (0, 0, 1, 1), overhang: true),
  Sliding([1, 4, 3, 2], kernel: (5, 4), stride: (1, 1), padding: (2, 2, 2, 2)),
  Sliding([2, 3, 1, 23], kernel: (1, 4), stride: (1, 3), padding: (0, 0, 2, 2)),
  Sliding([1, 6, 4, 5], kernel: (2, 3), stride: (1, 2), padding: (0, 1, 1, 0)),
  Sliding([3, 32, 16, 16], kernel: (3, 3), stride: (2, 2), padding: (1, 1, 1, 1)),
  Sliding([0, 3, 5, 5], kernel: (2, 2)),
]

private let dilated: [Sliding] = [
  Sliding([2, 5, 9, 8], kernel: (3, 2), stride: (1, 2), dilation: (2, 3), padding: (2, 2, 1, 1)),
  Sliding([1, 2, 7, 7], kernel: (2, 2), stride: (2, 2), dilation: (3, 1), overhang: true),
  Sliding(
    [1, 2, 2, 3], kernel: (1, 4), stride: (1, 4), dilation: (1, 2), padding: (0, 0, 1, 1),
    overhang: true),
]

private let small = Values.uniform(-2, 2)
private let specialValues = Values.list([
  1, .nan, -2, 0, -.infinity, -.infinity, -.infinity, -0.0, 3, .infinity, .nan, 3, 2,
])

let poolingCases: [OpCase] = [
  OpCase(
    "maxPool", .exact,
    (windows + dilated).flatMap { window in
      let output = window.output(window.input[1])
      // Whole numbers make ties.
      return [small, .integers(-2, 2), specialValues].flatMap { values in
        [false, true].map { hasIndices in
          Trial(
            operation: .maxPool(window.window), inputs: [Input(window.input, values)],
            outputs: [Output(output)] + (hasIndices ? [Output(output, .int32)] : []),
            placements: imagePlacements([window.input]))
        }
      }
    }),
  OpCase(
    "maxPoolBackward", .rounding(1e-6, "a sum over the windows that meet"),
    (windows + dilated).map { window in
      let output = window.output(window.input[1])
      return Trial(
        operation: .maxPoolBackward(window.window),
        inputs: [Input(output, small), Input(output, .int32, .list(window.someIndices + [0]))],
        outputs: [Output(window.input)], scale: 1, terms: window.area,
        placements: imagePlacements([window.input]))
    }),
  OpCase(
    "averagePool", .rounding(1e-6, "a sum over the window, then a quotient"),
    averages { window, counts in (.averagePool(window, countsPadding: counts), false) }),
  OpCase(
    "averagePoolBackward", .rounding(1e-6, "a sum over the windows that meet"),
    averages { window, counts in (.averagePoolBackward(window, countsPadding: counts), true) }),
  OpCase(
    "adaptiveAveragePool", .rounding(1e-6, "a sum over the window, then a quotient"),
    adaptive(.adaptiveAveragePool, isBackward: false)),
  OpCase(
    "adaptiveAveragePoolBackward", .rounding(1e-6, "a sum over the windows that meet"),
    adaptive(.adaptiveAveragePoolBackward, isBackward: true)),
]

private func averages(_ make: (Window, Bool) -> (Operation, isBackward: Bool)) -> [Trial] {
  windows.flatMap { window in
    [false, true].map { countsPadding in
      let (operation, isBackward) = make(window.window, countsPadding)
      let output = window.output(window.input[1])
      return Trial(
        operation: operation, inputs: [Input(isBackward ? output : window.input, small)],
        outputs: [Output(isBackward ? window.input : output)], scale: 1, terms: window.area,
        placements: imagePlacements([window.input]))
    }
  }
}

private func adaptive(_ operation: Operation, isBackward: Bool) -> [Trial] {
  let sizes: [([Int], Int, Int)] = [
    ([2, 3, 7, 7], 1, 1), ([2, 17, 7, 5], 3, 2), ([1, 4, 2, 3], 5, 7), ([1, 2, 6, 1], 4, 1),
    ([3, 40, 9, 8], 1, 1), ([1, 1, 1, 1], 1, 1), ([2, 5, 10, 11], 10, 11), ([0, 2, 3, 3], 2, 2),
    ([2, 130, 14, 13], 7, 7),
  ]
  return sizes.map { input, height, width in
    let output = [input[0], input[1], height, width]
    return Trial(
      operation: operation, inputs: [Input(isBackward ? output : input, small)],
      outputs: [Output(isBackward ? input : output)], scale: 1, terms: input[2] * input[3],
      placements: imagePlacements([input, output]))
  }
}

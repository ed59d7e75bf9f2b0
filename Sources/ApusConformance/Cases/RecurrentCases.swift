import ApusDevice

/// Steps, rows, width of the state.
private let sizes: [[Int]] = [
  [1, 1, 1], [3, 2, 5], [5, 7, 17], [4, 1, 33], [7, 1, 130], [6, 13, 16], [2, 19, 70], [9, 40, 24],
  [0, 3, 4], [3, 0, 4],
]
private let moderate = Values.uniform(-1, 1)

/// Weights as layers draw them: a state neither grows nor fades much over the steps.
private func weight(_ kind: Recurrence, _ width: Int) -> Input {
  let bound = 1 / Double(width).squareRoot()
  return Input([kind.gateCount * width, width], .uniform(-bound, bound))
}

/// From nothing to all steps, beyond the end too: a length counts as limited to the steps.
private func lengths(_ steps: Int, _ rows: Int) -> Input {
  Input(
    [rows], .int32,
    .list((0..<max(rows, 1)).map { Double([steps, 1, steps + 2, 0, -1, 3][$0 % 6]) }))
}

private func placements(_ size: [Int]) -> [Placement] {
  size == [5, 7, 17]
    ? [.dense, .offset, .transposed, .stepped, .stridedOutput, .mixed]
    : size == [3, 2, 5] ? [.dense, .repeatedFirst] : [.dense]
}

private var variants: [Recurrence] {
  Recurrence.Cell.allCases.flatMap { cell in
    [false, true].flatMap { isReversed in
      [false, true].flatMap { hasBias in
        [false, true].map {
          Recurrence(cell, isReversed: isReversed, hasBias: hasBias, hasLengths: $0)
        }
      }
    }
  }
}

let recurrentCases: [OpCase] = [
  OpCase(
    "recurrence",
    .rounding(4e-6, "dot products of states that carry the rounding of all steps before"),
    variants.flatMap { kind in
      sizes.flatMap { size in
        [false, true].filter { !$0 || kind.savedCount > 0 }.map { hasSaved in
          let (t, b, h) = (size[0], size[1], size[2])
          var inputs = [
            Input([t, b, kind.gateCount * h], .uniform(-2, 2)),
            weight(kind, h),
          ]
          if kind.hasBias { inputs.append(Input([kind.gateCount * h], moderate)) }
          inputs.append(Input([b, h], moderate))
          if kind.hasCellState { inputs.append(Input([b, h], moderate)) }
          if kind.hasLengths { inputs.append(lengths(t, b)) }
          var outputs = [Output([t, b, h]), Output([b, h])]
          if kind.hasCellState { outputs.append(Output([b, h])) }
          if hasSaved { outputs.append(Output([t, b, kind.savedCount * h])) }
          return Trial(
            operation: .recurrence(kind), inputs: inputs, outputs: outputs, scale: 1, terms: h,
            placements: placements(size))
        }
      }
    }),
  OpCase(
    "recurrenceBackward",
    .rounding(4e-6, "dot products of gradients that carry the rounding of all steps after"),
    variants.flatMap { kind in
      sizes.map { size in
        let (t, b, h) = (size[0], size[1], size[2])
        var inputs = [
          weight(kind, h), Input([t, b, h], .uniform(-0.9, 0.9)),
        ]
        if kind.savedCount > 0 {
          inputs.append(Input([t, b, kind.savedCount * h], .uniform(0.05, 0.95)))
        }
        inputs.append(Input([b, h], moderate))
        if kind.hasCellState { inputs.append(Input([b, h], moderate)) }
        if kind.hasLengths { inputs.append(lengths(t, b)) }
        inputs += [Input([t, b, h], moderate), Input([b, h], moderate)]
        if kind.hasCellState { inputs.append(Input([b, h], moderate)) }
        var outputs = [Output([t, b, kind.gateCount * h]), Output([kind.gateCount * h, h])]
        if kind.hasBias { outputs.append(Output([kind.gateCount * h])) }
        outputs.append(Output([b, h]))
        if kind.hasCellState { outputs.append(Output([b, h])) }
        return Trial(
          operation: .recurrenceBackward(kind), inputs: inputs, outputs: outputs, scale: 1,
          terms: max(t, 1) * (b + h), placements: placements(size))
      }
    }),
]

import ApusDevice

/// Shapes with the axes to reduce: rows, columns, both ends, the middle, everything, nothing left of
/// an axis, and lengths that are cut in parts.
private let reductions: [([Int], [Int])] = [
  ([1], [0]), ([7], [0]), ([1037], [0]), ([70_003], [0]), ([5, 33, 19], [0]), ([5, 33, 19], [1]),
  ([5, 33, 19], [2]), ([5, 33, 19], [0, 1]), ([5, 33, 19], [1, 2]), ([5, 33, 19], [0, 2]),
  ([5, 33, 19], [0, 1, 2]), ([3001, 17], [0]), ([3001, 17], [1]), ([129, 1], [1]), ([1, 129], [0]),
  ([2, 3, 4, 5, 6], [1, 3]), ([40_001, 2], [0]), ([0, 3], [1]), ([64, 1000], [1]),
  ([257, 128], [0]),
]

private func kept(_ shape: [Int], _ axes: [Int]) -> [Int] {
  shape.enumerated().map { axes.contains($0.offset) ? 1 : $0.element }
}

/// The number of elements in one result.
private func length(_ shape: [Int], _ axes: [Int]) -> Int {
  axes.reduce(1) { $0 * shape[$1] }
}

let reductionCases: [OpCase] =
  ReduceOp.allCases.map { op in
    let isExact = op == .maximum || op == .minimum
    var trials: [Trial] = []
    for (shape, axes) in reductions {
      let placements: [Placement] =
        shape.reduce(1, *) < 20_000 ? [.dense] + Placement.strided : [.dense]
      trials.append(
        Trial(
          operation: .reduce(op, axes: axes), inputs: [Input(shape, .uniform(-2, 2))],
          outputs: [Output(kept(shape, axes))],
          scale: op == .mean ? 1 / Double(max(length(shape, axes), 1)) : 1,
          terms: length(shape, axes), placements: placements))
      if op != .mean {
        trials.append(
          Trial(
            operation: .reduce(op, axes: axes),
            inputs: [Input(shape, .int32, .integers(-2_147_483_648, 2_147_483_647))],
            outputs: [Output(kept(shape, axes), .int32)], placements: placements))
      }
    }
    if !isExact {
      for shape in [[0], [4, 0, 3]] {
        trials.append(
          Trial(
            operation: .reduce(op, axes: shape.count == 1 ? [0] : [1]),
            inputs: [Input(shape, .uniform(0, 1))],
            outputs: [Output(shape.map { $0 == 0 ? 1 : $0 })]))
      }
    }
    // Each special alone among ordinary numbers; NaN and infinity spread.
    // A sum may overflow on the way to a mean that does not.
    for special in specials where isExact || !special.isFinite || abs(special) < 1e38 {
      let values = [1, 2, special, -3, 0.5, 0, 1.5]
      trials.append(
        Trial(
          operation: .reduce(op, axes: [1]), inputs: [Input([5, 35], .list(values))],
          outputs: [Output([5, 1])], scale: 8, placements: [.dense, .transposed]))
    }
    return OpCase(
      "reduce \(op)",
      isExact
        ? .exact
        : .rounding(1e-6, "rounding errors grow like the root of the number of terms"), trials)
  }
  + ArgReduceOp.allCases.map { op in
    var trials: [Trial] = []
    for (shape, axes) in reductions where axes.count == 1 {
      let placements: [Placement] =
        shape.reduce(1, *) < 20_000 ? [.dense] + Placement.strided : [.dense]
      let values: [Values] = [
        .integers(-9, 9), .uniform(-2, 2), .list([1, 3, -2, 0, 3, -2, 1]),
        .list([1, .infinity, 2, .nan, -.infinity, .nan, 0]), .list([-.infinity]),
        .list([-0.0, 0, -0.0]),
      ]
      for value in values {
        trials.append(
          Trial(
            operation: .argReduce(op, axis: axes[0]), inputs: [Input(shape, value)],
            outputs: [Output(kept(shape, axes), .int32)], placements: placements))
      }
      trials.append(
        Trial(
          operation: .argReduce(op, axis: axes[0]),
          inputs: [Input(shape, .int32, .integers(-9, 9))],
          outputs: [Output(kept(shape, axes), .int32)], placements: placements))
    }
    return OpCase("argReduce \(op)", .exact, trials)
  }

let gemmCases: [OpCase] = [
  OpCase(
    "gemm", .rounding(4e-6, "sums of up to 400 products, one after the other"),
    gemmTrials)
]

private var gemmTrials: [Trial] {
  let sizes: [[Int]] = [
    [1, 1, 1, 1], [1, 5, 3, 7], [1, 17, 33, 19], [2, 8, 16, 9], [3, 1, 65, 31], [1, 70, 1, 41],
    [1, 64, 64, 64], [1, 129, 67, 131], [2, 0, 5, 3], [2, 4, 0, 3], [2, 4, 5, 0], [0, 4, 5, 6],
    [1, 200, 257, 150], [1, 1, 300, 400], [1, 400, 300, 1], [5, 31, 15, 33],
  ]
  return sizes.map { size in
    let (b, m, k, n) = (size[0], size[1], size[2], size[3])
    return Trial(
      operation: .gemm,
      inputs: [Input([b, m, k], .uniform(-2, 2)), Input([b, k, n], .uniform(-2, 2))],
      outputs: [Output([b, m, n])], scale: 1, terms: k,
      placements: b * m * n < 40_000 ? [.dense] + Placement.strided : [.dense])
  } + [
    Trial(
      operation: .gemm,
      inputs: [Input([1, 400, 320], .uniform(-2, 2)), Input([1, 320, 360], .uniform(-2, 2))],
      outputs: [Output([1, 400, 360])], scale: 1, terms: 320, placements: [.dense, .transposed])
  ]
}

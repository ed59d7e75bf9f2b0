import ApusDevice

/// Shape of `x`, axis, number of indices.
private let selections: [([Int], Int, Int)] = [
  ([1], 0, 1), ([9], 0, 5), ([7, 35], 0, 11), ([35, 7], 1, 20), ([4, 5, 6], 1, 9),
  ([4, 5, 6], 2, 3),
  ([300, 64], 0, 700), ([9], 0, 0), ([5, 0], 0, 3), ([12, 3], 0, 5000), ([3, 4, 0, 2], 1, 2),
]

private func replacing(_ shape: [Int], _ axis: Int, _ extent: Int) -> [Int] {
  var result = shape
  result[axis] = extent
  return result
}

private func placements(_ shape: [Int], _ count: Int) -> [Placement] {
  shape.reduce(1, *) * max(count, 1) < 20_000 ? [.dense] + Placement.strided : [.dense]
}

let indexCases: [OpCase] = [
  OpCase(
    "take", .exact,
    selections.flatMap { shape, axis, count in
      (shape == [7, 35] ? DType.allCases : [.float32, .int32]).map { dtype in
        Trial(
          operation: .take(axis: axis),
          inputs: [
            Input(shape, dtype, .integers(0, 100)),
            Input([count], .int32, .integers(0, shape[axis] - 1)),
          ], outputs: [Output(replacing(shape, axis, count), dtype)],
          placements: placements(shape, count))
      }
    }),
  OpCase(
    "indexAdd", .rounding(0x1p-22, "one rounding per addend"),
    selections.flatMap { shape, axis, count in
      [DType.float32, .int32].map { dtype in
        let values: Values = dtype == .int32 ? .integers(-1 << 31, 1 << 31 - 1) : .uniform(-2, 2)
        return Trial(
          operation: .indexAdd(axis: axis),
          inputs: [
            Input(shape, dtype, values), Input([count], .int32, .integers(0, shape[axis] - 1)),
            Input(replacing(shape, axis, count), dtype, values),
          ], outputs: [Output(shape, dtype)], scale: 8, terms: count,
          placements: placements(shape, count))
      }
    }),
  OpCase(
    "gather", .exact,
    selections.flatMap { shape, axis, count in
      (shape == [7, 35] ? DType.allCases : [.float32, .int32]).map { dtype in
        let small = replacing(shape, axis, count)
        return Trial(
          operation: .gather(axis: axis),
          inputs: [
            Input(shape, dtype, .integers(0, 100)),
            Input(small, .int32, .integers(0, shape[axis] - 1)),
          ], outputs: [Output(small, dtype)], placements: placements(shape, count))
      }
    } + [
      // Indices that cover a part of the other axes.
      Trial(
        operation: .gather(axis: 1),
        inputs: [Input([6, 9, 7], .uniform(-2, 2)), Input([4, 20, 5], .int32, .integers(0, 8))],
        outputs: [Output([4, 20, 5])], placements: [.dense] + Placement.strided)
    ]),
  OpCase(
    "scatterAdd", .rounding(0x1p-22, "one rounding per addend"),
    selections.flatMap { shape, axis, count in
      [DType.float32, .int32].map { dtype in
        let values: Values = dtype == .int32 ? .integers(-1 << 31, 1 << 31 - 1) : .uniform(-2, 2)
        let small = replacing(shape, axis, count)
        return Trial(
          operation: .scatterAdd(axis: axis),
          inputs: [
            Input(shape, dtype, values), Input(small, .int32, .integers(0, shape[axis] - 1)),
            Input(small, dtype, values),
          ], outputs: [Output(shape, dtype)], scale: 8, terms: count,
          placements: placements(shape, count))
      }
    } + [
      Trial(
        operation: .scatterAdd(axis: 1),
        inputs: [
          Input([6, 9, 7], .uniform(-2, 2)), Input([4, 20, 5], .int32, .integers(0, 8)),
          Input([4, 20, 5], .uniform(-2, 2)),
        ], outputs: [Output([6, 9, 7])], scale: 32, placements: [.dense] + Placement.strided)
    ]),
]

/// Shape and axis of sorts and running sums.
private let lines: [([Int], Int)] = [
  ([1], 0), ([0], 0), ([7], 0), ([1037], 0), ([5, 33], 1), ([33, 5], 0), ([4, 9, 6], 1),
  ([3, 0], 0),
  ([128, 3], 1), ([300, 70], 0), ([5000], 0),
]

private let orderings: [Values] = [
  .uniform(-2, 2), .integers(-4, 4),
  .list([3, .nan, -.infinity, 1, .infinity, .nan, 1, -0.0, 0, 2]),
]

let orderCases: [OpCase] = [
  OpCase(
    "cumulativeSum", .rounding(0x1p-22, "one rounding per term"),
    lines.flatMap { shape, axis in
      [
        Trial(
          operation: .cumulativeSum(axis: axis), inputs: [Input(shape, .uniform(-2, 2))],
          outputs: [Output(shape)], scale: 8, terms: shape[axis],
          placements: placements(shape, 1)),
        Trial(
          operation: .cumulativeSum(axis: axis),
          inputs: [Input(shape, .int32, .integers(-1 << 31, 1 << 31 - 1))],
          outputs: [Output(shape, .int32)], placements: placements(shape, 1)),
      ]
    }),
  OpCase(
    "sort", .exact,
    lines.flatMap { shape, axis in
      [false, true].flatMap { descending in
        orderings.map { Input(shape, $0) }.appending(Input(shape, .int32, .integers(-9, 9)))
          .map { input in
            Trial(
              operation: .sort(axis: axis, descending: descending), inputs: [input],
              outputs: [Output(shape, input.dtype), Output(shape, .int32)],
              placements: placements(shape, 1))
          }
      }
    }),
  OpCase(
    "topK", .exact,
    lines.flatMap { shape, axis in
      Set([0, 1, 3, shape[axis]]).filter { $0 <= shape[axis] }.sorted().flatMap { k in
        [false, true].flatMap { largest in
          orderings.map { Input(shape, $0) }.appending(Input(shape, .int32, .integers(-9, 9)))
            .map { input in
              let small = replacing(shape, axis, k)
              return Trial(
                operation: .topK(k: k, axis: axis, largest: largest), inputs: [input],
                outputs: [Output(small, input.dtype), Output(small, .int32)],
                placements: placements(shape, 1))
            }
        }
      }
    }),
]

let randomCases: [OpCase] = [
  random("uniform", .uniform(low: -0.3, high: 1.7), .exact),
  random(
    "normal", .normal(mean: 0.5, standardDeviation: 2),
    .rounding(2e-6, "logarithm, root and cosine in float32")),
  random("bernoulli", .bernoulli(probability: 0.3), .exact),
]

private func random(
  _ name: String, _ distribution: RandomDistribution, _ tolerance: Tolerance
) -> OpCase {
  OpCase(
    "random \(name)", tolerance,
    (denseShapes + stridedShapes).enumerated().map { i, shape in
      Trial(
        operation: .random(distribution, RandomKey(0x1234_5678_9ABC_DEF0).folded(UInt64(i))),
        inputs: [], outputs: [Output(shape)], scale: 2,
        placements: [.dense, .offset, .stridedOutput])
    })
}

extension Array {
  func appending(_ element: Element) -> [Element] { self + [element] }
}

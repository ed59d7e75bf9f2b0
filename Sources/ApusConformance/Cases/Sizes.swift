import ApusDevice

/// Shapes of element-wise trials: nothing, one, odd, and long enough for every parallel path.
let denseShapes: [[Int]] = [[], [0], [1], [2, 0, 3], [7], [1037], [70_003]]
/// Shapes for every placement: odd extents, rank 1 to 4.
let stridedShapes: [[Int]] = [[35], [3, 37], [1, 5, 1, 7], [17, 19, 23]]

/// Numbers at which functions change their nature.
let specials: [Double] = [
  .nan, .infinity, -.infinity, 0, -0.0, 1e-40, -1e-40, 1.175494350822287508e-38, 1e-20, -1e-20, 0.5,
  -0.5, 1, -1, 2.5, -2.5, 88.5, -88.5, 104, -104, 1e5, -1e5, 1e10, -1e10, 3.4e38, -3.4e38,
]

/// An element-wise operation at every size and placement.
func elementwise(
  _ operation: Operation, _ inputs: [(DType, Values)], _ output: DType, scale: Double = 0
) -> [Trial] {
  func trial(_ shape: [Int], _ placements: [Placement]) -> Trial {
    Trial(
      operation: operation, inputs: inputs.map { Input(shape, $0.0, $0.1) },
      outputs: [Output(shape, output)], scale: scale, placements: placements)
  }
  return denseShapes.map { trial($0, [.dense]) }
    + stridedShapes.map { trial($0, Placement.strided) }
}

/// An element-wise operation on given values only.
func elementwise(
  _ operation: Operation, _ inputs: [(DType, [Double])], _ output: DType, scale: Double = 0
) -> [Trial] {
  let count = inputs.map(\.1.count).max() ?? 0
  return [
    Trial(
      operation: operation, inputs: inputs.map { Input([count], $0.0, .list($0.1)) },
      outputs: [Output([count], output)], scale: scale, placements: [.dense, .stepped])
  ]
}

/// Every pair of specials, as two lists.
let specialPairs: ([Double], [Double]) = (
  specials.flatMap { a in specials.map { _ in a } }, specials.flatMap { _ in specials }
)

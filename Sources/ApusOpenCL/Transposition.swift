/// A copy that exchanges the dense axis.
struct Transposition {
  /// Field by field as in transpose.cl.
  struct Arguments: BitwiseCopyable {
    var rows, columns: Int32
    var inRow, outColumn: Int32
    var inBatch: Int32 = 0
    var outBatch: Int32 = 0
    var inOffset, outOffset: Int32
    var chunk: Int32
  }

  let arguments: Arguments
  let size: LaunchSize

  /// - Parameters:
  ///   - it: The walk over result and source.
  ///   - tuned: Columns of a work-item that a tuner found to be faster, of the candidates given to it.
  /// - Returns: Nil where the walk is of another kind, or too short for the squares to pay.
  init?(
    _ it: Iteration, units: Int,
    tuned: (@autoclosure () -> TuningKey, () -> [TuningCandidate]) -> [Int]?
  ) {
    guard it.count >= 1024, it.rank == 2 || it.rank == 3 else { return nil }
    let axes = 0..<Int(it.rank)
    guard let a = axes.first(where: { it.stride[$0] == 1 }),
      let b = axes.first(where: { it.stride[8 + $0] == 1 }), a != b, it.shape[b] >= 16
    else { return nil }
    let (rows, columns) = (Int(it.shape[a]), Int(it.shape[b]))
    let rest = axes.first { $0 != a && $0 != b }
    let batch = rest.map { Int(it.shape[$0]) } ?? 1
    let bands = (rows + 15) / 16
    // Some chunks for each unit, none too short to be worth its start.
    let wanted = columns * bands * batch / (8 * units) + 1
    let widest = (columns + 15) / 16 * 16
    let usual = min(max((wanted + 15) / 16 * 16, 64), widest)
    let choice = tuned(TuningKey(operation: "transpose", sizes: [rows, columns, batch])) {
      Set([16, 32, 64, 128, 256, 512, 1024, 2048].map { min($0, widest) }).subtracting([usual])
        .sorted().map { TuningCandidate([$0], isAlike: true) }
    }?.first
    let chunk = choice.map { min(max(16, $0 / 16 * 16), widest) } ?? usual
    arguments = Arguments(
      rows: it.shape[a], columns: it.shape[b], inRow: it.stride[8 + a], outColumn: it.stride[b],
      inBatch: rest.map { it.stride[8 + $0] } ?? 0, outBatch: rest.map { it.stride[$0] } ?? 0,
      inOffset: it.offset[1], outOffset: it.offset[0], chunk: Int32(truncatingIfNeeded: chunk))
    size = LaunchSize((columns + chunk - 1) / chunk, bands, batch)
  }
}

import ApusDevice
import ApusTensor

/// A long text as rows that each go on from step to step: row `b` is the `b`-th of equal parts. So a step
/// takes the next piece of every row, and the states after it are those before the next step.
struct TokenStreams: Sendable {
  let rows: Int
  /// Tokens of a row that are foretold.
  let length: Int
  /// `int32[rows, length + 1]`; a row's last token begins the row after it.
  private let tokens: Tensor

  /// - Parameter rows: Fewer where the text is short. What does not fill a last step of all rows, fewer
  ///   tokens than there are rows, is left out.
  /// - Throws: ``ApusError`` where the text has fewer than two tokens.
  init(_ tokens: [Int32], rows: Int, name: String, on device: Device) throws {
    guard tokens.count > 1 else {
      throw ApusError(
        .data, operation: name,
        "has \(tokens.count) tokens; a language model needs at least two, one to foretell from the "
          + "other")
    }
    let rows = min(max(rows, 1), tokens.count - 1)
    let length = (tokens.count - 1) / rows
    self.rows = rows
    self.length = length
    let values = (0..<rows).flatMap { tokens[$0 * length...($0 + 1) * length] }
    self.tokens = try Tensor(values, shape: [rows, length + 1], on: device)
  }

  /// The number of tokens that are foretold.
  var count: Int { rows * length }

  func steps(of size: Int) -> Int { (length - 1) / max(size, 1) + 1 }

  /// The tokens `[rows, T]` at a place, and those after each, `[rows · T]`; `T` is `size` or what is left.
  func piece(at start: Int, size: Int) throws -> (x: Tensor, y: Tensor) {
    let end = start + min(size, length - start)
    return (
      try tokens.slice(axis: 1, start: start, end: end).contiguous(),
      try tokens.slice(axis: 1, start: start + 1, end: end + 1).reshaped([rows * (end - start)])
    )
  }
}

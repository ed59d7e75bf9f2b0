/// Rows of tokens, each of a length of its own, one after the other in memory.
struct TokenRows: Sendable {
  private(set) var tokens: [Int32] = []
  /// Where each row ends.
  private(set) var ends: [Int] = []

  var count: Int { ends.count }

  subscript(row: Int) -> ArraySlice<Int32> {
    tokens[(row == 0 ? 0 : ends[row - 1])..<ends[row]]
  }

  mutating func append(_ row: some Sequence<Int32>) {
    tokens.append(contentsOf: row)
    ends.append(tokens.count)
  }

  func subset(_ rows: [Int]) -> TokenRows {
    var result = TokenRows()
    for row in rows { result.append(self[row]) }
    return result
  }

  func appending(_ other: TokenRows) -> TokenRows {
    var result = self
    for row in 0..<other.count { result.append(other[row]) }
    return result
  }
}

import ApusDevice

/// Batches of rows of similar lengths, so that little of a batch is padding.
///
/// The examples are shuffled, cut into pools of some batches each, and sorted within a pool; then the
/// batches are shuffled. So what shares a batch changes from epoch to epoch, and short texts do not all
/// come first.
public enum LengthBuckets {
  /// How many batches are sorted together.
  static let poolSize = 64

  /// - Returns: The order of the examples, and the part of it that each batch takes.
  public static func batches(
    _ lengths: [Int], batchSize: Int, key: RandomKey
  ) -> (order: [Int], ranges: [Range<Int>]) {
    let count = lengths.count
    let size = min(max(batchSize, 1), max(count, 1))
    let (product, isLarge) = size.multipliedReportingOverflow(by: poolSize)
    let pool = isLarge ? count : min(product, count)
    let shuffled = Shuffle.permutation(count: count, key: key.folded(0))
    var batches: [ArraySlice<Int>] = []
    for start in stride(from: 0, to: count, by: max(pool, 1)) {
      let sorted = byLength(Array(shuffled[start..<min(start + pool, count)]), lengths)
      for first in stride(from: 0, to: sorted.count, by: size) {
        batches.append(sorted[first..<min(first + size, sorted.count)])
      }
    }
    var order: [Int] = []
    var ranges: [Range<Int>] = []
    order.reserveCapacity(count)
    for index in Shuffle.permutation(count: batches.count, key: key.folded(1)) {
      ranges.append(order.count..<order.count + batches[index].count)
      order += batches[index]
    }
    return (order, ranges)
  }

  /// Examples in the order of their lengths, equals in the order given.
  public static func byLength(_ examples: [Int], _ lengths: [Int]) -> [Int] {
    examples.enumerated().sorted {
      let (a, b) = (lengths[$0.element], lengths[$1.element])
      return a == b ? $0.offset < $1.offset : a < b
    }.map(\.element)
  }
}

import ApusData
import ApusDevice
import ApusTensor

/// Examples of one step, on the device.
package struct Batch: Sendable {
  /// `[count] + exampleShape`.
  package let x: Tensor
  /// `[count]`, class indices.
  package let y: Tensor
  package let count: Int
  /// The second labels of mixed examples, and the share of the first.
  package let mixed: (y: Tensor, share: Float)?

  package init(x: Tensor, y: Tensor, mixed: (y: Tensor, share: Float)? = nil) {
    self.x = x
    self.y = y
    self.mixed = mixed
    count = x.shape.first ?? 0
  }

  /// The loss against the labels; of mixed examples, the losses against both labels by their shares.
  package func loss(_ criterion: (_ y: Tensor) throws -> Tensor) throws -> Tensor {
    let first = try criterion(y)
    guard let mixed else { return first }
    let share = Double(mixed.share)
    return try first * share + criterion(mixed.y) * (1 - share)
  }
}

/// The batches of one epoch, in order.
package struct Batches {
  private enum Source {
    /// Gathered on the device.
    case resident(BatchSource.Resident, order: Tensor)
    /// Made on the host, ahead of their use.
    case streamed(Prefetcher<Batch>)
  }

  private let source: Source
  private let ranges: [Range<Int>]
  private var position = 0

  init(_ resident: BatchSource.Resident, order: Tensor, ranges: [Range<Int>]) {
    source = .resident(resident, order: order)
    self.ranges = ranges
  }

  init(_ prefetcher: Prefetcher<Batch>, ranges: [Range<Int>]) {
    source = .streamed(prefetcher)
    self.ranges = ranges
  }

  /// The next batch; nil at the end. Throws what went wrong while it was made.
  package mutating func next() throws -> Batch? {
    guard position < ranges.count else { return nil }
    defer { position += 1 }
    switch source {
    case .streamed(let prefetcher): return try prefetcher.next()
    case .resident(let resident, let order):
      let range = ranges[position]
      let chosen = try order.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      return Batch(x: try resident.taking(chosen), y: try resident.labels.take(chosen))
    }
  }
}

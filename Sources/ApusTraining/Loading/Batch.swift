import ApusData
import ApusDevice
import ApusNN
import ApusTensor

/// Examples of one step, on the device.
package struct Batch: Sendable {
  /// `[count] + exampleShape`.
  package let x: Tensor
  /// `[count]`, class indices, or `[count, targets]`, real targets.
  package let y: Tensor
  package let count: Int
  /// The second labels of mixed examples, and the share of the first.
  package let mixed: (y: Tensor, share: Float)?
  /// How many steps of each row count, where examples are sequences of different lengths.
  package let lengths: [Int]?

  package init(
    x: Tensor, y: Tensor, mixed: (y: Tensor, share: Float)? = nil, lengths: [Int]? = nil
  ) {
    self.lengths = lengths
    self.x = x
    self.y = y
    self.mixed = mixed
    count = x.shape.first ?? 0
  }

  /// Normalised on the device.
  func normalized(by normalization: DeviceNormalization?) throws -> Batch {
    guard let normalization else { return self }
    return Batch(x: try normalization.apply(to: x), y: y, mixed: mixed, lengths: lengths)
  }

  /// What a model makes of the examples.
  /// - Throws: ``ApusError`` where these have lengths that the model does not take.
  package func output(of model: any Layer, _ context: Context) throws -> Tensor {
    guard let lengths else { return try model(x, context) }
    guard let sequences = model as? any SequenceLayer else {
      throw ApusError(
        .shape, operation: "train",
        "the examples have different lengths, which the model does not take; conform it to "
          + "SequenceLayer")
    }
    return try sequences(x, lengths: lengths, context)
  }

  /// The loss against the labels; of mixed examples, the losses against both labels by their shares.
  package func loss(_ criterion: (_ y: Tensor) throws -> Tensor) throws -> Tensor {
    let first = try criterion(y)
    guard let mixed else { return first }
    let share = Double(mixed.share)
    return try first * share + criterion(mixed.y) * (1 - share)
  }
}

/// The batches of one pass over the examples, in order.
package struct Batches {
  private enum Source {
    /// Gathered on the device; in their own order for nil.
    case resident(BatchSource.Resident, order: Tensor?)
    /// Made on the host, ahead of their use; with what the device is left to do.
    case streamed(Prefetcher<Batch>, DeviceNormalization?)
  }

  private let source: Source
  private let ranges: [Range<Int>]
  private var position = 0

  init(_ resident: BatchSource.Resident, order: Tensor?, ranges: [Range<Int>]) {
    source = .resident(resident, order: order)
    self.ranges = ranges
  }

  init(
    _ prefetcher: Prefetcher<Batch>, normalization: DeviceNormalization?, ranges: [Range<Int>]
  ) {
    source = .streamed(prefetcher, normalization)
    self.ranges = ranges
  }

  /// The next batch; nil at the end. Throws what went wrong while it was made.
  package mutating func next() throws -> Batch? {
    guard position < ranges.count else { return nil }
    defer { position += 1 }
    switch source {
    case .streamed(let prefetcher, let normalization):
      return try prefetcher.next()?.normalized(by: normalization)
    case .resident(let resident, let order):
      return try resident.batch(ranges[position], of: order)
    }
  }
}

import ApusDevice
import ApusTensor

/// Keeps losses on the device and reads them in bundles, so that a step never waits.
struct LossReader {
  static let advice =
    "lower the learning rate, clip gradients, or look for extreme values in the data"

  private var pending: [(loss: Tensor, step: Int, weight: Int)] = []
  private var epoch = 0
  private var total = 0.0
  private var weight = 0
  private var lastFlush = ContinuousClock.now

  var epochMean: Double { total / Double(max(weight, 1)) }

  mutating func beginEpoch(_ epoch: Int) {
    self.epoch = epoch
    (total, weight) = (0, 0)
  }

  mutating func add(
    _ loss: Tensor, step: Int, weight: Int, _ onEvent: (TrainingEvent) throws -> Void
  ) throws {
    pending.append((loss, step, weight))
    // Often enough for eyes and for a queue of bounded length; the first step shows that all works.
    if step == 1 || pending.count >= 256 || lastFlush.duration(to: .now) > .milliseconds(200) {
      try flush(onEvent)
    }
  }

  mutating func flush(_ onEvent: (TrainingEvent) throws -> Void) throws {
    lastFlush = .now
    guard !pending.isEmpty else { return }
    let values = try Tensor.stacked(pending.map(\.loss)).scalars()
    for (value, entry) in zip(values, pending) {
      try onEvent(
        .step(TrainingEvent.Step(step: entry.step, epoch: epoch, loss: Double(value))))
      guard value.isFinite else {
        throw ApusError(
          .data, operation: "train",
          "the loss became \(value.isNaN ? "NaN" : "infinite") at step \(entry.step) "
            + "(epoch \(epoch)); \(Self.advice)")
      }
      total += Double(value) * Double(entry.weight)
      weight += entry.weight
    }
    pending.removeAll(keepingCapacity: true)
    lastFlush = .now
  }
}

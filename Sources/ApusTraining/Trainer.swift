import ApusData
import ApusDevice
import ApusNN
import ApusOptimizers
import ApusTensor
import Foundation

/// Trains a classifier.
///
/// Steps are enqueued without waiting for the device; losses are read in bundles. One seed gives one
/// result, bit for bit, on one device.
public struct Trainer: Sendable {
  /// How a run ended.
  public struct Outcome: Sendable {
    public let epochs: Int
    public let steps: Int
    /// Whether the caller stopped it before the last epoch.
    public let wasCancelled: Bool
  }

  private let model: any Layer
  private let options: TrainingOptions
  private let device: Device
  private let training: BatchSource
  private let validation: (source: BatchSource, labels: [Int32])?

  /// - Parameters:
  ///   - model: Gives logits `[N, C]`; its parameters live on `device`.
  ///   - training: Preprocessed examples with labels.
  ///   - validation: Looked at after every epoch.
  public init(
    model: any Layer, training: Dataset, validation: Dataset? = nil, options: TrainingOptions,
    device: Device
  ) throws {
    try options.validate()
    guard training.count > 0 else {
      throw ApusError(.data, operation: training.name, "there are no training examples")
    }
    self.model = model
    self.options = options
    self.device = device
    self.training = try BatchSource(training, on: device)
    self.validation = try validation.map { (try BatchSource($0, on: device), $0.labels) }
  }

  /// Steps of one epoch; the last batch may be smaller.
  public var stepsPerEpoch: Int {
    (training.count + options.batchSize - 1) / options.batchSize
  }

  /// Trains.
  /// - Parameters:
  ///   - isCancelled: Asked before every step.
  ///   - onEvent: Gets steps in bundles, and epochs; called between steps.
  ///   - onEpoch: Called after every completed epoch whose losses were finite: the moment to save.
  /// - Throws: ``ApusError`` for a loss that is not finite, and what the callbacks throw.
  @discardableResult
  public func run(
    isCancelled: () -> Bool = { false }, onEvent: (TrainingEvent) throws -> Void = { _ in },
    onEpoch: () throws -> Void = {}
  ) throws -> Outcome {
    let optimizer = try options.optimizer.make(
      model.parameters(), learningRate: options.learningRate, momentum: options.momentum,
      weightDecay: options.weightDecay, clipping: options.clipping)
    let total = stepsPerEpoch * options.epochs
    var losses = LossReader()
    for epoch in 1...options.epochs {
      let start = ContinuousClock.now
      let order = try training.order(
        Shuffle.permutation(count: training.count, key: options.orderKey.folded(UInt64(epoch))))
      losses.beginEpoch(epoch)
      for first in stride(from: 0, to: training.count, by: options.batchSize) {
        if isCancelled() {
          try losses.flush(onEvent)
          return Outcome(epochs: epoch - 1, steps: optimizer.stepCount, wasCancelled: true)
        }
        let range = first..<min(first + options.batchSize, training.count)
        let (x, y) = try training.batch(range, of: order)
        optimizer.learningRate =
          options.learningRate * options.schedule.factor(step: optimizer.stepCount, of: total)
        let loss = try step(x, y, optimizer)
        try losses.add(loss, step: optimizer.stepCount, weight: range.count, onEvent)
      }
      try losses.flush(onEvent)
      let found = try validation.map {
        try Evaluation(of: model, source: $0.source, labels: $0.labels)
      }
      try onEpoch()
      try onEvent(
        .epoch(
          TrainingEvent.Epoch(
            epoch: epoch, step: optimizer.stepCount, trainLoss: losses.epochMean,
            validationLoss: found?.loss, validationAccuracy: found?.accuracy,
            learningRate: Double(optimizer.learningRate),
            seconds: start.duration(to: .now).seconds)))
    }
    return Outcome(epochs: options.epochs, steps: optimizer.stepCount, wasCancelled: false)
  }

  private func step(_ x: Tensor, _ y: Tensor, _ optimizer: any Optimizer) throws -> Tensor {
    let key = options.stepKey.folded(UInt64(optimizer.stepCount))
    let (loss, gradients) = try valueAndGradients(of: optimizer.parameters, key: key) { context in
      try crossEntropy(model(x, context), y, labelSmoothing: options.labelSmoothing)
    }
    try optimizer.step(gradients)
    return loss
  }
}

/// Keeps losses on the device and reads them in bundles, so that a step never waits.
private struct LossReader {
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
          "the loss became \(value) at step \(entry.step) (epoch \(epoch)); lower the learning "
            + "rate, clip gradients, or look for extreme values in the data")
      }
      total += Double(value) * Double(entry.weight)
      weight += entry.weight
    }
    pending.removeAll(keepingCapacity: true)
    lastFlush = .now
  }
}

extension Duration {
  /// As a floating-point number.
  public var seconds: Double {
    let (whole, attoseconds) = components
    return Double(whole) + Double(attoseconds) * 1e-18
  }
}

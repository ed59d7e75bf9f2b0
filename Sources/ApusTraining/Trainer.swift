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
  ///   - training: Examples with labels.
  ///   - validation: Looked at after every epoch.
  ///   - preprocessing: Applied to both; not for data that is preprocessed already.
  public init(
    model: any Layer, training: Dataset, validation: Dataset? = nil,
    preprocessing: Preprocessing = .none, options: TrainingOptions, device: Device
  ) throws {
    try options.validate()
    guard training.count > 0 else {
      throw ApusError(.data, operation: training.name, "there are no training examples")
    }
    self.model = model
    self.options = options
    self.device = device
    self.training = try BatchSource(
      training, preprocessing: preprocessing, augmentation: options.augmentation,
      workers: options.workers, on: device)
    self.validation = try validation.map {
      (try BatchSource($0, preprocessing: preprocessing, on: device), $0.labels)
    }
  }

  /// Steps of one epoch; the last batch may be smaller.
  public var stepsPerEpoch: Int {
    // There are examples, and the batch size may be as large as numbers get.
    1 + (training.count - 1) / options.batchSize
  }

  /// Trains.
  /// - Parameters:
  ///   - isCancelled: Asked before every step.
  ///   - onEvent: Gets steps in bundles, and epochs; called between steps.
  ///   - onEpoch: Called after every completed epoch that left losses and parameters finite: the
  ///     moment to save.
  /// - Throws: ``ApusError`` for losses or parameters that are not finite, and what the callbacks
  ///   throw.
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
      var batches = try training.batches(
        key: options.orderKey.folded(UInt64(epoch)), batchSize: options.batchSize)
      losses.beginEpoch(epoch)
      while let batch = try batches.next() {
        if isCancelled() {
          try losses.flush(onEvent)
          return Outcome(epochs: epoch - 1, steps: optimizer.stepCount, wasCancelled: true)
        }
        optimizer.learningRate =
          options.learningRate * options.schedule.factor(step: optimizer.stepCount, of: total)
        let loss = try step(batch, optimizer)
        try losses.add(loss, step: optimizer.stepCount, weight: batch.count, onEvent)
      }
      try losses.flush(onEvent)
      try requireFiniteParameters(after: optimizer.stepCount, epoch: epoch)
      let found = try validation.map {
        try Evaluation(of: model, source: $0.source, labels: $0.labels)
      }
      if let loss = found?.loss, !loss.isFinite {
        throw ApusError(
          .data, operation: "train",
          "the validation loss became \(loss.isNaN ? "NaN" : "infinite") after epoch \(epoch); "
            + LossReader.advice)
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

  /// The last step of an epoch can ruin the weights while its loss still looks well.
  private func requireFiniteParameters(after step: Int, epoch: Int) throws {
    let named = model.namedParameters()
    // `x · 0` is 0 for every finite x and NaN for all others, and NaN survives any sum.
    let marks = try named.map { try ($0.parameter.value * 0).sum() }
    guard !marks.isEmpty,
      let bad = try Tensor.stacked(marks).scalars().firstIndex(where: { $0 != 0 })
    else { return }
    throw ApusError(
      .data, operation: "train",
      "parameter '\(named[bad].name)' is no longer finite after step \(step) (epoch \(epoch)); "
        + LossReader.advice)
  }

  private func step(_ batch: Batch, _ optimizer: any Optimizer) throws -> Tensor {
    let key = options.stepKey.folded(UInt64(optimizer.stepCount))
    let (loss, gradients) = try valueAndGradients(of: optimizer.parameters, key: key) { context in
      let logits = try model(batch.x, context)
      return try batch.loss {
        try crossEntropy(logits, $0, labelSmoothing: options.labelSmoothing)
      }
    }
    try optimizer.step(gradients)
    return loss
  }
}

/// Keeps losses on the device and reads them in bundles, so that a step never waits.
private struct LossReader {
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

extension Duration {
  /// As a floating-point number.
  public var seconds: Double {
    let (whole, attoseconds) = components
    return Double(whole) + Double(attoseconds) * 1e-18
  }
}

import ApusData
import ApusDevice
import ApusNN
import ApusOptimizers
import ApusTensor
import Foundation

/// Trains a model for an ``Objective``: classes, numbers or another.
///
/// Steps are enqueued without waiting for the device; losses are read in bundles. One seed gives one
/// result, bit for bit, on one device, also where a run goes on from a ``Checkpoint``.
public struct Trainer: Sendable {
  /// How a run ended.
  public struct Outcome: Sendable {
    /// Completed epochs, those before a checkpoint included.
    public let epochs: Int
    public let steps: Int
    /// Whether the caller stopped it before the last epoch.
    public let wasCancelled: Bool
    /// The best epoch by the monitored figure; nil without a validation part.
    public let best: BestEpoch?
    /// The epoch whose weights the model has; nil where it was stopped amid one.
    public let modelEpoch: Int?
  }

  let model: any Layer
  let options: TrainingOptions
  let objective: any Objective
  private let device: Device
  private let schedule: LearningRateSchedule.Run

  /// - Parameters:
  ///   - model: What the objective takes; its parameters live on `device`. Those that the options
  ///     freeze are frozen.
  /// - Throws: ``ApusError`` for options out of range, or that the objective cannot serve.
  public init(
    model: any Layer, objective: any Objective, options: TrainingOptions, device: Device
  ) throws {
    try options.validate()
    guard objective.hasValidation || !options.needsValidation else {
      throw ApusError(
        .value, operation: "train",
        "early stopping and the schedule plateau look at validation examples; there are none")
    }
    guard objective.hasAccuracy || options.monitor != .validationAccuracy else {
      throw ApusError(
        .value, operation: "train",
        "what is learnt here has no accuracy to monitor; monitor the validation loss")
    }
    for prefix in options.frozenPrefixes { try model.freeze(prefix: prefix) }
    guard model.parameters().contains(where: \.isTrainable) else {
      throw ApusError(
        .value, operation: "train", "every parameter is frozen; nothing is left to train")
    }
    self.model = model
    self.objective = objective
    self.options = options
    self.device = device
    schedule = try options.run(stepsPerEpoch: objective.stepsPerEpoch)
  }

  /// A trainer of a classifier or, for examples with real targets, of a regression.
  /// - Parameters:
  ///   - model: Gives logits `[N, C]`, or numbers `[N, targets]`.
  ///   - training: Examples with labels or real targets.
  ///   - validation: Looked at after every epoch.
  ///   - preprocessing: Applied to both; not for data that is preprocessed already.
  ///   - targetScaling: Of real targets; fitted on the training examples for nil.
  public init(
    model: any Layer, training: Dataset, validation: Dataset? = nil,
    preprocessing: Preprocessing = .none, targetScaling: TargetScaling? = nil,
    options: TrainingOptions, device: Device
  ) throws {
    try options.validate()
    let objective: any Objective =
      training.isRegression
      ? try RegressionObjective(
        training: training, validation: validation, preprocessing: preprocessing,
        scaling: targetScaling, options: options, device: device)
      : try ClassificationObjective(
        training: training, validation: validation, preprocessing: preprocessing,
        options: options, device: device)
    try self.init(model: model, objective: objective, options: options, device: device)
  }

  /// Steps of one epoch; the last batch may be smaller.
  public var stepsPerEpoch: Int { schedule.stepsPerEpoch }

  private var beginning: Checkpoint.Progress {
    Checkpoint.Progress(options: options, data: objective.fingerprint, device: device.name)
  }

  /// Whether this run may go on from a checkpoint; a longer run may where the schedule does not depend
  /// on the length.
  /// - Throws: ``ApusError`` naming what differs, where the result would be another than that of an
  ///   uninterrupted run.
  public func requireSameRun(_ checkpoint: Checkpoint) throws {
    try checkpoint.requireSameRun(as: beginning, stepsPerEpoch: stepsPerEpoch)
  }

  /// Trains.
  /// - Parameters:
  ///   - checkpoint: Where to go on; from the beginning for nil.
  ///   - isCancelled: Asked before every step.
  ///   - onEvent: Gets steps in bundles, and epochs; called between steps.
  ///   - onEpoch: Called after every completed epoch that left losses and parameters finite: the
  ///     moment to save.
  /// - Throws: ``ApusError`` for losses or parameters that are not finite, for a checkpoint of another
  ///   run, and what the callbacks throw.
  @discardableResult
  public func run(
    from checkpoint: Checkpoint? = nil, isCancelled: () -> Bool = { false },
    onEvent: (TrainingEvent) throws -> Void = { _ in },
    onEpoch: (Checkpoint) throws -> Void = { _ in }
  ) throws -> Outcome {
    // Moments and gradients of what does not change are not needed.
    let optimizer = try options.optimizer.make(
      model.parameters().filter(\.isTrainable), learningRate: options.learningRate,
      momentum: options.momentum, weightDecay: options.weightDecay, clipping: options.clipping)
    var progress = beginning
    var bestWeights: [String: Tensor]?
    if let checkpoint {
      try requireSameRun(checkpoint)
      try model.load(checkpoint.weights)
      try optimizer.load(checkpoint.optimizer)
      progress.take(checkpoint.progress)
      bestWeights = checkpoint.bestWeights
    }
    var losses = LossReader()
    while progress.epoch < options.epochs, !progress.isStalled {
      let epoch = progress.epoch + 1
      let start = ContinuousClock.now
      let isComplete = try train(
        epoch, optimizer, schedule, progress.plateau, &losses, isCancelled, onEvent)
      guard isComplete else {
        return Outcome(
          epochs: progress.epoch, steps: optimizer.stepCount, wasCancelled: true,
          best: progress.best, modelEpoch: nil)
      }
      let found = try objective.validate(model)
      if let loss = found?.loss, !loss.isFinite {
        throw ApusError(
          .data, operation: "train",
          "the validation loss became \(loss.isNaN ? "NaN" : "infinite") after epoch \(epoch); "
            + LossReader.advice)
      }
      progress.complete(epoch, figure: found.flatMap(options.monitor.figure))
      // Holding the values is enough: the next step leaves them alone and fills other memory.
      if options.earlyStopping != nil, progress.isBest { bestWeights = model.state() }
      try onEpoch(
        Checkpoint(
          progress: progress, weights: model.state(), optimizer: optimizer.state(),
          bestWeights: bestWeights))
      try onEvent(
        .epoch(
          TrainingEvent.Epoch(
            epoch: epoch, step: optimizer.stepCount, trainLoss: losses.epochMean,
            validationLoss: found?.loss, validationAccuracy: found?.accuracy,
            validationFigures: found?.others, learningRate: Double(optimizer.learningRate),
            seconds: start.duration(to: .now).seconds)))
    }
    if progress.isStalled, let best = progress.best {
      try onEvent(
        .earlyStop(
          TrainingEvent.EarlyStop(
            epoch: progress.epoch, bestEpoch: best.epoch, best: best.figure,
            monitor: options.monitor)))
    }
    if let bestWeights { try model.load(bestWeights) }
    return Outcome(
      epochs: progress.epoch, steps: optimizer.stepCount, wasCancelled: false, best: progress.best,
      modelEpoch: bestWeights == nil ? progress.epoch : progress.best?.epoch)
  }
}

extension Duration {
  /// As a floating-point number.
  public var seconds: Double {
    let (whole, attoseconds) = components
    return Double(whole) + Double(attoseconds) * 1e-18
  }
}

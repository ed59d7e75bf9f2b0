import ApusData
import ApusDevice
import ApusOptimizers

/// How much each class counts in the loss.
public enum ClassWeighting: String, Sendable, Hashable, Codable, CaseIterable {
  /// Every example counts the same.
  case none
  /// Every class of the training data counts the same: class `c` has the weight
  /// `examples / (classes · examples of c)`, as in scikit-learn.
  case balanced

  /// One weight per class, 0 for a class without examples; nil where all count the same.
  package func weights(_ labels: [Int32], classCount: Int) -> [Float]? {
    guard self == .balanced else { return nil }
    var counts = [Int](repeating: 0, count: classCount)
    for label in labels where counts.indices.contains(Int(label)) { counts[Int(label)] += 1 }
    let present = counts.count { $0 > 0 }
    return counts.map { $0 == 0 ? 0 : Float(Double(labels.count) / Double(present * $0)) }
  }
}

/// How to train.
public struct TrainingOptions: Sendable, Hashable, Codable {
  public var epochs = 20
  public var batchSize = 64
  public var learningRate: Float = 1e-3
  /// How the learning rate changes over the run.
  public var schedule = LearningRateSchedule.cosine
  /// Epochs over which the learning rate first rises.
  public var warmupEpochs = 0
  /// The same in steps; both add up.
  public var warmupSteps = 0
  public var optimizer = OptimizerKind.adam
  public var momentum: Float = 0
  /// The optimizer's default for nil.
  public var weightDecay: Float?
  /// The largest common 2-norm of all gradients; no limit for nil.
  public var clipNorm: Float?
  /// The largest magnitude of one gradient element; no limit for nil.
  public var clipValue: Float?
  /// The weight of `Σ |w|` over all weights in what is minimised; the losses that are told lack it.
  public var l1: Float = 0
  /// The largest 2-norm of the weights that lead into a unit; no limit for nil.
  public var maxNorm: Float?
  public var labelSmoothing: Float = 0
  public var classWeights = ClassWeighting.none
  /// Parameters whose names begin with one of these stay as they are.
  public var frozenPrefixes: [String] = []
  /// The figure that tells which epoch is best.
  public var monitor = Monitor.validationLoss
  /// By how much a figure must be better than the best one to count as better.
  public var minDelta = 0.0
  /// Epochs in a row without a better figure that end the run with the weights of the best epoch; nil
  /// for all epochs and the weights of the last.
  public var earlyStopping: Int?
  /// How numbers are compared where numbers are learnt, mean squares for nil; of no use for classes.
  public var regressionLoss: RegressionLoss?
  /// Steps from one report of gradients to the next, beside that of the first step of every epoch, for
  /// which 0 is enough; no reports for nil. The result does not depend on it.
  public var gradientReport: Int?
  /// Random changes of the training images.
  public var augmentation = Augmentation.none
  /// Threads that decode, augment and upload batches where the data is augmented or does not fit memory
  /// or device; 0 for the training thread itself. The result does not depend on it.
  public var workers = 2
  /// Gives initial weights, order of the data, augmentation and dropout.
  public var seed: UInt64 = 0

  public init() {}

  /// - Throws: ``ApusError`` naming the option that is out of range.
  public func validate() throws {
    func require(_ isFine: Bool, _ name: String, _ rule: String) throws {
      if !isFine {
        throw ApusError(.value, operation: "train", "\(name) must be \(rule)")
      }
    }
    try require(epochs >= 1 && epochs <= 1_000_000, "epochs", "within 1...1000000, not \(epochs)")
    try require(batchSize >= 1, "batch size", "positive, not \(batchSize)")
    try require(
      learningRate.isFinite && learningRate >= 0, "learning rate",
      "finite and not negative, not \(learningRate)")
    try require(workers >= 0 && workers <= 64, "workers", "within 0...64, not \(workers)")
    try require(
      labelSmoothing >= 0 && labelSmoothing <= 1, "label smoothing",
      "within 0...1, not \(labelSmoothing)")
    try require(
      momentum == 0 || optimizer == .sgd || optimizer == .rmsprop, "momentum",
      "0 for \(optimizer.rawValue); sgd and rmsprop use it")
    try require(
      momentum.isFinite && momentum >= 0, "momentum", "finite and not negative, not \(momentum)")
    for (name, value) in [("clip norm", clipNorm), ("clip value", clipValue)] {
      if let value { try require(value > 0, name, "positive, not \(value)") }
    }
    if let maxNorm {
      try require(
        maxNorm > 0 && maxNorm.isFinite, "max norm", "finite and positive, not \(maxNorm)")
    }
    if let gradientReport {
      try require(gradientReport >= 0, "gradient report", "0 or more steps, not \(gradientReport)")
    }
    try require(l1.isFinite && l1 >= 0, "l1", "finite and not negative, not \(l1)")
    try require(
      minDelta.isFinite && minDelta >= 0, "min delta", "finite and not negative, not \(minDelta)")
    if let earlyStopping {
      try require(
        earlyStopping >= 1, "early stopping", "a positive number of epochs, not \(earlyStopping)")
    }
    try schedule.validate()
    for (name, value) in [("warm-up epochs", warmupEpochs), ("warm-up steps", warmupSteps)] {
      try require(
        value >= 0 && value <= 1_000_000, name, "within 0...1000000, not \(value)")
    }
    if case .oneCycle = schedule {
      try require(
        warmupEpochs == 0 && warmupSteps == 0, "warm-up", "0 for onecycle, which rises by itself")
    }
    if let weightDecay {
      try require(
        weightDecay.isFinite && weightDecay >= 0, "weight decay",
        "finite and not negative, not \(weightDecay)")
    }
    try require(
      clipNorm == nil || clipValue == nil, "clipping", "by norm or by value, not both")
  }

  /// Whether the run cannot do without a validation part.
  public var needsValidation: Bool {
    if case .plateau = schedule { return true }
    return earlyStopping != nil
  }

  /// The lengths that the schedule depends on.
  func run(stepsPerEpoch: Int) throws -> LearningRateSchedule.Run {
    let run = LearningRateSchedule.Run(
      steps: stepsPerEpoch * epochs, stepsPerEpoch: stepsPerEpoch,
      warmup: warmupEpochs * stepsPerEpoch + warmupSteps)
    guard run.warmup == 0 || run.warmup < run.steps else {
      throw ApusError(
        .value, operation: "train",
        "a warm-up of \(run.warmup) steps does not end before the run of \(run.steps); shorten it "
          + "or train longer")
    }
    return run
  }

  var clipping: GradientClipping {
    if let clipNorm { return .norm(clipNorm) }
    if let clipValue { return .value(clipValue) }
    return .none
  }

  var key: RandomKey { RandomKey(seed) }
  /// Independent keys for the three uses of randomness.
  public var initialKey: RandomKey { key.folded(0) }
  var orderKey: RandomKey { key.folded(1) }
  var stepKey: RandomKey { key.folded(2) }
}

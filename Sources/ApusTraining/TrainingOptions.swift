import ApusData
import ApusDevice
import ApusOptimizers

/// How to train.
public struct TrainingOptions: Sendable, Hashable, Codable {
  public var epochs = 20
  public var batchSize = 64
  public var learningRate: Float = 1e-3
  /// How the learning rate falls over the run.
  public var schedule = LearningRateSchedule.cosine
  public var optimizer = OptimizerKind.adam
  public var momentum: Float = 0
  /// The optimizer's default for nil.
  public var weightDecay: Float?
  /// The largest common 2-norm of all gradients; no limit for nil.
  public var clipNorm: Float?
  /// The largest magnitude of one gradient element; no limit for nil.
  public var clipValue: Float?
  public var labelSmoothing: Float = 0
  /// Random changes of the training images.
  public var augmentation = Augmentation.none
  /// Threads that make batches ready where the data is augmented or does not fit the device; 0 for the
  /// training thread itself. The result does not depend on it.
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
    if let weightDecay {
      try require(
        weightDecay.isFinite && weightDecay >= 0, "weight decay",
        "finite and not negative, not \(weightDecay)")
    }
    try require(
      clipNorm == nil || clipValue == nil, "clipping", "by norm or by value, not both")
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

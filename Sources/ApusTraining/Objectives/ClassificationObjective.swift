import ApusData
import ApusDevice
import ApusNN
import ApusTensor

/// Learns classes: cross-entropy of logits `[N, C]` against class indices, judged by loss and accuracy.
public struct ClassificationObjective: Objective {
  private let examples: Examples
  private let labels: [Int32]
  private let classWeights: Tensor?
  private let labelSmoothing: Float

  public let hasAccuracy = true
  public var hasValidation: Bool { examples.validation != nil }
  public var fingerprint: String { examples.fingerprint }
  public var stepsPerEpoch: Int { examples.stepsPerEpoch }

  /// - Parameters:
  ///   - training: Examples with labels.
  ///   - validation: Looked at after every epoch.
  ///   - preprocessing: Applied to both; not for data that is preprocessed already.
  ///   - options: Batch size, augmentation, loading, weights of classes, smoothing of labels.
  /// - Throws: ``ApusError`` where examples or labels are missing or shapes do not fit.
  public init(
    training: Dataset, validation: Dataset? = nil, preprocessing: Preprocessing = .none,
    options: TrainingOptions, device: Device
  ) throws {
    guard options.regressionLoss == nil else {
      throw ApusError(
        .value, operation: training.name,
        "holds classes; the loss \(options.regressionLoss?.rawValue ?? "") compares numbers")
    }
    examples = try Examples(
      training: training, validation: validation, preprocessing: preprocessing, options: options,
      device: device)
    labels = validation?.labels ?? []
    classWeights = try options.classWeights.weights(
      training.labels, classCount: training.classCount
    ).map { try Tensor($0, on: device) }
    labelSmoothing = options.labelSmoothing
  }

  public func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
    BatchPass(try examples.batches(key: key)) { [classWeights, labelSmoothing] batch, context in
      let logits = try batch.output(of: model, context)
      return try batch.loss {
        try crossEntropy(logits, $0, weight: classWeights, labelSmoothing: labelSmoothing)
      }
    }
  }

  public func validate(_ model: any Layer) throws -> Figures? {
    try examples.validation.map {
      let found = try Evaluation(of: model, source: $0, labels: labels)
      return Figures(loss: found.loss, accuracy: found.accuracy)
    }
  }
}

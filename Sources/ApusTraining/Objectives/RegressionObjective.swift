import ApusData
import ApusDevice
import ApusMetrics
import ApusNN
import ApusTensor

/// How predicted numbers are compared with true ones, both in the units of ``TargetScaling``.
public enum RegressionLoss: String, Sendable, Hashable, Codable, CaseIterable {
  /// The mean of squares, which takes large errors seriously.
  case mse
  /// The mean of magnitudes, which large errors do not rule.
  case mae
  /// Squares near 0, magnitudes beyond a deviation of 1 (Huber 1964).
  case huber

  func callAsFunction(
    _ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean
  ) throws -> Tensor {
    switch self {
    case .mse: try meanSquaredError(predictions, targets, reduction: reduction)
    case .mae: try meanAbsoluteError(predictions, targets, reduction: reduction)
    case .huber: try ApusNN.huber(predictions, targets, reduction: reduction)
    }
  }
}

/// Learns numbers: outputs `[N, K]` against `K` real targets an example, judged by loss, mean absolute
/// and root mean squared error.
///
/// Targets are scaled first (``TargetScaling``), so one learning rate suits all units; the loss is that
/// of scaled targets, the errors are in the units of the data.
public struct RegressionObjective: Objective {
  private let examples: Examples
  private let targets: [Float]
  private let scaling: TargetScaling
  private let loss: RegressionLoss

  public let hasAccuracy = false
  public var hasValidation: Bool { examples.validation != nil }
  public var fingerprint: String { examples.fingerprint }
  public var stepsPerEpoch: Int { examples.stepsPerEpoch }

  /// - Parameters:
  ///   - training: Examples with targets.
  ///   - validation: Looked at after every epoch.
  ///   - scaling: Of the targets; fitted on the training examples for nil.
  ///   - options: Loss, batch size, augmentation, loading.
  /// - Throws: ``ApusError`` where examples or targets are missing, shapes do not fit, or options are
  ///   about classes.
  public init(
    training: Dataset, validation: Dataset? = nil, preprocessing: Preprocessing = .none,
    scaling: TargetScaling? = nil, options: TrainingOptions, device: Device
  ) throws {
    guard options.labelSmoothing == 0, options.classWeights == .none else {
      throw ApusError(
        .value, operation: training.name,
        "holds real targets; label smoothing and class weights are for classes")
    }
    self.scaling = try scaling ?? TargetScaling.fit(on: training)
    examples = try Examples(
      training: try self.scaling.applied(to: training),
      validation: try validation.map(self.scaling.applied), preprocessing: preprocessing,
      options: options, device: device)
    targets = validation?.targets ?? []
    loss = options.regressionLoss ?? .mse
  }

  public func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
    BatchPass(try examples.batches(key: key)) { [loss] batch, context in
      let predictions = try batch.output(of: model, context)
      return try batch.loss { try loss(predictions, $0) }
    }
  }

  public func validate(_ model: any Layer) throws -> Figures? {
    try examples.validation.map {
      let found = try RegressionEvaluation(
        of: model, source: $0, targets: targets, scaling: scaling, loss: loss)
      return Figures(
        loss: found.loss,
        others: [
          "mae": found.report.meanAbsoluteError, "rmse": found.report.rootMeanSquaredError,
        ])
    }
  }
}

/// The figure that tells which epoch is best.
public enum Monitor: String, Sendable, Hashable, Codable, CaseIterable {
  case validationLoss = "validation-loss"
  case validationAccuracy = "validation-accuracy"

  var isSmallerBetter: Bool { self == .validationLoss }

  /// nil where there is no such figure.
  func figure(of figures: Figures) -> Double? {
    switch self {
    case .validationLoss: figures.loss
    case .validationAccuracy: figures.accuracy
    }
  }
}

/// The best epoch of a run so far.
public struct BestEpoch: Sendable, Hashable, Codable {
  public let epoch: Int
  /// Its monitored figure.
  public let figure: Double

  /// Whether a figure is better by more than `minDelta`.
  func isBeaten(by other: Double, _ options: TrainingOptions) -> Bool {
    options.monitor.isSmallerBetter
      ? other < figure - options.minDelta : other > figure + options.minDelta
  }
}

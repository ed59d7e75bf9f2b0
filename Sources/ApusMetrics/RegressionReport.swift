import ApusDevice

/// The figures of a regression on known targets, as `sklearn.metrics` defines them.
public struct RegressionReport: Codable, Sendable, Hashable {
  public let count: Int
  public let meanSquaredError: Double
  public let meanAbsoluteError: Double
  /// R²: 1 − residual sum of squares / total sum of squares. For constant targets 1 when every
  /// prediction is exact, else 0.
  public let coefficientOfDetermination: Double

  public var rootMeanSquaredError: Double { meanSquaredError.squareRoot() }

  /// Throws when the counts differ, there are no examples, or a value is not finite.
  public init(predictions: [Float], targets: [Float]) throws {
    try Requirement.pairs(predictions.count, targets.count, operation: "RegressionReport")
    try Requirement.finite(predictions, operation: "RegressionReport")
    try Requirement.finite(targets, operation: "RegressionReport")
    let n = Double(targets.count)
    let mean = targets.reduce(0.0) { $0 + Double($1) } / n
    var (squares, magnitudes, total) = (0.0, 0.0, 0.0)
    for (prediction, target) in zip(predictions, targets) {
      let residual = Double(target) - Double(prediction)
      squares += residual * residual
      magnitudes += residual.magnitude
      total += (Double(target) - mean) * (Double(target) - mean)
    }
    count = targets.count
    meanSquaredError = squares / n
    meanAbsoluteError = magnitudes / n
    let isConstant = targets.allSatisfy { $0 == targets[0] }
    coefficientOfDetermination = isConstant ? (squares == 0 ? 1 : 0) : 1 - squares / total
  }
}

import ApusDevice

/// The errors of forecasts of several steps, over all steps and targets, in the units of the series.
public struct ForecastScores: Codable, Sendable, Hashable {
  public let mae: Double
  public let rmse: Double
  /// The mean absolute error over that of a naive forecast of one step in the past, a mean over targets
  /// (Hyndman and Koehler 2006); below 1 is better than that. nil where the past gives no unit.
  public let mase: Double?

  /// - Parameters:
  ///   - predictions: Row-major `[…, targets]`.
  ///   - truths: Of the same shape.
  ///   - unit: For each target what its error is divided by.
  ///   - targetCount: How many targets there are.
  /// - Throws: ``ApusError`` where the counts differ or a value is not finite.
  public init(predictions: [Double], truths: [Double], unit: [Double]?, targetCount: Int) throws {
    try Requirement.pairs(predictions.count, truths.count, operation: "ForecastScores")
    try Requirement.finite(predictions, operation: "ForecastScores")
    try Requirement.finite(truths, operation: "ForecastScores")
    guard targetCount > 0, truths.count % targetCount == 0,
      unit?.count ?? targetCount == targetCount
    else {
      throw ApusError(
        .shape, operation: "ForecastScores",
        "\(truths.count) values and \(unit?.count ?? targetCount) units do not fit \(targetCount) "
          + "targets")
    }
    var magnitudes = [Double](repeating: 0, count: targetCount)
    var squares = 0.0
    for (index, (prediction, truth)) in zip(predictions, truths).enumerated() {
      let residual = truth - prediction
      magnitudes[index % targetCount] += residual.magnitude
      squares += residual * residual
    }
    let count = Double(truths.count)
    mae = magnitudes.reduce(0, +) / count
    rmse = (squares / count).squareRoot()
    mase = unit.map { unit in
      zip(magnitudes, unit).reduce(0) { $0 + $1.0 / $1.1 } / count
    }
  }
}

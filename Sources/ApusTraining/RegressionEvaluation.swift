import ApusData
import ApusDevice
import ApusMetrics
import ApusNN
import ApusTensor

/// What a model of numbers does on examples with known targets.
public struct RegressionEvaluation: Sendable {
  /// `[count, K]`, in the units of the data.
  public let predictions: [Double]
  /// The mean loss of scaled targets.
  public let loss: Double
  /// In the units of the data, over all targets.
  public let report: RegressionReport

  /// - Parameters:
  ///   - source: Examples with scaled targets.
  ///   - targets: The same as the data has them.
  ///   - check: Looks at the predictions before they are judged.
  init(
    of model: any Layer, source: BatchSource, targets: [Float], scaling: TargetScaling,
    loss criterion: RegressionLoss, check: ([Float]) throws -> Void = { _ in }
  ) throws {
    guard source.count > 0 else {
      throw ApusError(.data, operation: "evaluate", "there are no examples")
    }
    var found: [Float] = []
    var losses: [Tensor] = []
    var batches = source.examples(
      batchSize: Evaluation.batchSize(for: model, featureCount: source.featureCount))
    while let batch = try batches.next() {
      let y = try batch.output(of: model, .evaluation)
      losses.append(try criterion(y, batch.y, reduction: .sum))
      found += try y.scalars()
    }
    let parts = try Tensor.stacked(losses).scalars()
    loss = parts.reduce(0) { $0 + Double($1) } / Double(max(found.count, 1))
    let restored = scaling.restored(found)
    try check(restored)
    predictions = scaling.exactlyRestored(found)
    report = try RegressionReport(predictions: restored, targets: targets)
  }
}

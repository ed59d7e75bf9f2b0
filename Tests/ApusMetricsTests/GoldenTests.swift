import ApusMetrics
import Foundation
import Testing

/// What `Golden/make_metrics.py` wrote: inputs and scikit-learn's figures for them.
private struct Golden: Decodable {
  struct Classification: Decodable {
    struct ROC: Decodable {
      let fpr: [Double]
      let tpr: [Double]
      let thresholds: [Float]
    }

    let classCount: Int
    let labels: [Int32]
    let predictions: [Int32]
    let probabilities: [Float]
    let accuracy: Double
    let confusion: [[Int]]
    let logLoss: Double
    let calibrationError: Double
    let averages: [String: [Double]]
    let perClass: [[Double]]
    let top2: Double?
    let brier: Double?
    let areas: [String: Double]?
    let roc: ROC?
  }

  struct Regression: Decodable {
    let targets: [Float]
    let predictions: [Float]
    let mse: Double
    let rmse: Double
    let mae: Double
    let r2: Double
  }

  let classification: [Classification]
  let regression: [Regression]

  static func load() throws -> Golden {
    let file = try #require(
      Bundle.module.url(forResource: "metrics", withExtension: "json", subdirectory: "Golden"))
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
  }
}

/// Sums of a few dozen terms in `Double`: only their order differs.
private func expectClose(
  _ a: Double, _ b: Double, _ tolerance: Double = 1e-12,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(abs(a - b) <= tolerance * max(1, abs(b)), sourceLocation: sourceLocation)
}

@Suite struct GoldenTests {
  @Test func classification() throws {
    for golden in try Golden.load().classification {
      let report = try ClassificationReport(
        predictions: golden.predictions, labels: golden.labels,
        classNames: (0..<golden.classCount).map { "class \($0)" })
      #expect(report.confusionMatrix == golden.confusion)
      expectClose(report.accuracy, golden.accuracy)
      expectClose(
        try ClassificationMetrics.accuracy(
          predictions: golden.predictions, labels: golden.labels), golden.accuracy)
      let matrix = try ConfusionMatrix(
        predictions: golden.predictions, labels: golden.labels, classCount: golden.classCount)
      for averaging in Averaging.allCases {
        let scores = matrix.scores(averaging)
        let expected = try #require(golden.averages[averaging.rawValue])
        expectClose(scores.precision, expected[0])
        expectClose(scores.recall, expected[1])
        expectClose(scores.f1, expected[2])
      }
      for (scores, expected) in zip(report.classes, golden.perClass) {
        expectClose(scores.precision, expected[0])
        expectClose(scores.recall, expected[1])
        expectClose(scores.f1, expected[2])
        #expect(Double(scores.support) == expected[3])
      }
    }
  }

  @Test func probabilities() throws {
    for golden in try Golden.load().classification {
      let (p, y, n) = (golden.probabilities, golden.labels, golden.classCount)
      // scikit-learn sums the logarithms and squares in single precision.
      expectClose(
        try ClassificationMetrics.logLoss(probabilities: p, labels: y, classCount: n),
        golden.logLoss, 1e-6)
      expectClose(
        try ClassificationMetrics.calibrationError(probabilities: p, labels: y, classCount: n),
        golden.calibrationError, 1e-7)
      if let brier = golden.brier {
        expectClose(
          try ClassificationMetrics.brierScore(probabilities: p, labels: y, classCount: n), brier,
          1e-6)
      }
      if let top2 = golden.top2 {
        expectClose(
          try ClassificationMetrics.topKAccuracy(scores: p, labels: y, classCount: n, k: 2), top2)
      }
      for averaging in Averaging.allCases {
        guard let area = golden.areas?[averaging.rawValue] else { continue }
        expectClose(
          try ROCCurve.area(scores: p, labels: y, classCount: n, averaging: averaging), area)
      }
      if let roc = golden.roc {
        let curve = try ROCCurve.oneVersusRest(scores: p, labels: y, classCount: n)[1]
        #expect(curve.falsePositiveRates == roc.fpr)
        #expect(curve.truePositiveRates == roc.tpr)
        #expect(Array(curve.thresholds.dropFirst()) == roc.thresholds)
        #expect(curve.thresholds[0] == .infinity)
      }
    }
  }

  @Test func regression() throws {
    for golden in try Golden.load().regression {
      let report = try RegressionReport(
        predictions: golden.predictions, targets: golden.targets)
      expectClose(report.meanSquaredError, golden.mse)
      expectClose(report.rootMeanSquaredError, golden.rmse)
      expectClose(report.meanAbsoluteError, golden.mae)
      expectClose(report.coefficientOfDetermination, golden.r2)
    }
  }
}

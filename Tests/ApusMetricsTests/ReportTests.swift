import ApusDevice
import ApusMetrics
import Foundation
import Testing

@Suite struct ReportTests {
  @Test func reports() throws {
    let report = try ClassificationReport(
      predictions: [0, 1, 1, 0], labels: [0, 1, 0, 0], classNames: ["a", "b", "unseen"])
    #expect(report.count == 4)
    #expect(report.accuracy == 0.75)
    #expect(report.confusionMatrix == [[2, 1, 0], [0, 1, 0], [0, 0, 0]])
    #expect(report.precision == 0.75)
    #expect(report.classes[2].f1 == 0)
    let json = try JSONEncoder().encode(report)
    #expect(try JSONDecoder().decode(ClassificationReport.self, from: json) == report)
  }

  @Test func refusesNonsense() {
    #expect(throws: ApusError.self) {
      try ClassificationReport(predictions: [0], labels: [0, 1], classNames: ["a", "b"])
    }
    #expect(throws: ApusError.self) {
      try ClassificationReport(predictions: [2], labels: [0], classNames: ["a", "b"])
    }
    #expect(throws: ApusError.self) {
      try ClassificationReport(predictions: [], labels: [], classNames: ["a", "b"])
    }
  }
}

@Suite struct MisuseTests {
  @Test func refusesNonsense() {
    func refuses<Result>(_ part: String, _ body: () throws -> Result) {
      do {
        _ = try body()
        Issue.record("no error was thrown")
      } catch {
        #expect("\(error)".contains(part), "\(error)")
      }
    }
    refuses("no examples") { try ClassificationMetrics.accuracy(predictions: [], labels: []) }
    refuses("not 3") {
      try ClassificationMetrics.logLoss(probabilities: [1, 2, 3], labels: [0], classCount: 2)
    }
    refuses("nan") {
      try ClassificationMetrics.logLoss(probabilities: [.nan, 1], labels: [0], classCount: 2)
    }
    refuses("outside 0..<2") {
      try ClassificationMetrics.brierScore(probabilities: [0, 1], labels: [2], classCount: 2)
    }
    refuses("positive") {
      try ClassificationMetrics.topKAccuracy(scores: [0, 1], labels: [0], classCount: 2, k: 0)
    }
    refuses("between 0 and 1") {
      try ClassificationMetrics.calibrationError(
        probabilities: [7, -6], labels: [0], classCount: 2)
    }
    refuses("binCount") {
      try ClassificationMetrics.calibration(
        probabilities: [1, 0], labels: [0], classCount: 2, binCount: 0)
    }
    refuses("both kinds") { try ROCCurve(scores: [1, 2], isPositive: [true, true]) }
    refuses("do not go") { try RegressionReport(predictions: [1], targets: [1, 2]) }
    refuses("not finite") { try RegressionReport(predictions: [.infinity], targets: [1]) }
  }

  @Test func constantTargets() throws {
    let wrong = try RegressionReport(predictions: [1, 2], targets: [1, 1])
    #expect(wrong.coefficientOfDetermination == 0)
    let right = try RegressionReport(predictions: [1, 1], targets: [1, 1])
    #expect(right.coefficientOfDetermination == 1)
  }
}

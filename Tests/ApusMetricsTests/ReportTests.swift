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

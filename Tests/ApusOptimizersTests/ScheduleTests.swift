import Apus
import Foundation
import TestSupport
import Testing

/// Learning rates against PyTorch's schedulers.
struct ScheduleTests {
  struct Golden: Decodable {
    let schedules: [Case]
    let plateaus: [PlateauCase]
  }

  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let schedule: String
    let steps, stepsPerEpoch, warmup: Int
    let rates: [Double]
    var testDescription: String { "\(schedule), warm-up \(warmup)" }
  }

  struct PlateauCase: Decodable, Sendable {
    let factor: Double
    let patience: Int
    let isSmallerBetter: Bool
    let learningRate: Float
    let figures, rates: [Double]
  }

  static func golden() throws -> Golden {
    try TestSupport.golden("schedules", in: .module, as: Golden.self)
  }

  @Test(arguments: try Self.golden().schedules)
  func agrees(_ c: Case) throws {
    let schedule = try LearningRateSchedule(c.schedule)
    let run = LearningRateSchedule.Run(
      steps: c.steps, stepsPerEpoch: c.stepsPerEpoch, warmup: c.warmup)
    for (step, expected) in c.rates.enumerated() {
      let rate = Double(schedule.learningRate(0.125, step: step, of: run))
      // Computed in Double, rounded twice to float32; near the end of a cosine, 1 + cos cancels.
      #expect(abs(rate - expected) < 2e-7 * expected + 1e-12, "step \(step): \(rate), \(expected)")
    }
  }

  @Test(arguments: try Self.golden().plateaus)
  func plateauAgrees(_ c: PlateauCase) {
    var plateau = Plateau()
    for (figure, expected) in zip(c.figures, c.rates) {
      plateau.observe(
        figure, isSmallerBetter: c.isSmallerBetter, reduction: c.factor, patience: c.patience,
        learningRate: c.learningRate)
      let rate = Double(c.learningRate) * plateau.factor
      #expect(abs(rate - expected) < 1e-12 * expected)
    }
  }

  /// A memory that is written and read in the midst goes on alike.
  @Test func plateauSurvivesJSON() throws {
    let figures = [1, 2, 0.5, 3, 3, 3, 3, 3, 0.4, 5, 5, 5]
    var whole = Plateau()
    var broken = Plateau()
    for figure in figures {
      whole.observe(figure, isSmallerBetter: true, reduction: 0.5, patience: 1, learningRate: 1)
      broken = try JSONDecoder().decode(Plateau.self, from: JSONEncoder().encode(broken))
      broken.observe(figure, isSmallerBetter: true, reduction: 0.5, patience: 1, learningRate: 1)
      #expect(broken == whole)
    }
    #expect(whole.factor == 0.125)
  }

  @Test func shortForms() throws {
    let forms: [(String, LearningRateSchedule)] = [
      ("constant", .constant), ("linear", .linear), ("cosine", .cosine),
      ("step:30", .step(epochs: 30)), ("step:30,0.5", .step(epochs: 30, factor: 0.5)),
      ("multistep:60,80,0.1", .multiStep(milestones: [60, 80])),
      ("multistep:3,2", .multiStep(milestones: [3], factor: 2)),
      ("exponential:0.95", .exponential(factor: 0.95)), ("onecycle", .oneCycle()),
      ("onecycle:0.1", .oneCycle(maximum: 0.1)), ("plateau", .plateau()),
      ("plateau:0.5,3", .plateau(factor: 0.5, patience: 3)),
    ]
    for (text, schedule) in forms {
      #expect(try LearningRateSchedule(text) == schedule)
      #expect(try LearningRateSchedule(schedule.description) == schedule)
      let json = try JSONEncoder().encode([schedule])
      #expect(try JSONDecoder().decode([LearningRateSchedule].self, from: json) == [schedule])
    }
  }

  @Test(arguments: [
    "", "cosinus", "cosine:1", "step", "step:", "step:x", "step:0", "step:-1,0.1", "step:2.5,0.1",
    "step:1,0", "step:1,nan", "step:1,inf", "step:1,2,3", "step:1e30", "multistep:5",
    "multistep:5,5,0.1", "multistep:8,5,0.1", "multistep:0,5,0.1", "exponential", "exponential:0",
    "exponential:-1", "exponential:0.9,1", "onecycle:", "onecycle:0", "onecycle:1e99",
    "onecycle:nan", "plateau:0.1", "plateau:1,3", "plateau:0.1,-1", "plateau:0.1,1e40",
  ])
  func otherTextsAreRefused(text: String) {
    let error = #expect(throws: ApusError.self) { try LearningRateSchedule(text) }
    #expect(error?.kind == .value && error?.message.contains("'") == true)
  }

  @Test func anyLengthGivesARate() throws {
    for text in ["cosine", "linear", "onecycle", "step:1", "multistep:1,0.1", "exponential:0.5"] {
      let schedule = try LearningRateSchedule(text)
      for steps in 0...12 {
        let run = LearningRateSchedule.Run(steps: steps, stepsPerEpoch: steps / 3, warmup: 0)
        for step in 0...steps + 1 {
          #expect(schedule.learningRate(1, step: step, of: run).isFinite, "\(text) \(steps)")
        }
      }
    }
  }
}

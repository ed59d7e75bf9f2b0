import Apus
import Foundation
import TestSupport
import Testing

struct OptionTests {
  @Test func defaultsAreValid() throws { try TrainingOptions().validate() }

  @Test func everyRuleNamesItsOption() {
    let wrong: [(String, (inout TrainingOptions) -> Void)] = [
      ("epochs", { $0.epochs = 0 }), ("epochs", { $0.epochs = .max }),
      ("batch size", { $0.batchSize = 0 }), ("learning rate", { $0.learningRate = -1 }),
      ("learning rate", { $0.learningRate = .nan }),
      ("learning rate", { $0.learningRate = .infinity }),
      ("momentum", { $0.momentum = 0.9 }),
      ("momentum", { ($0.optimizer, $0.momentum) = (.sgd, -1) }),
      ("momentum", { ($0.optimizer, $0.momentum) = (.sgd, .nan) }),
      ("weight decay", { $0.weightDecay = -1 }), ("weight decay", { $0.weightDecay = .infinity }),
      ("label smoothing", { $0.labelSmoothing = 1.5 }), ("clip norm", { $0.clipNorm = 0 }),
      ("clip value", { $0.clipValue = .nan }),
      ("clipping", { ($0.clipNorm, $0.clipValue) = (1, 1) }),
    ]
    for (name, change) in wrong {
      var options = TrainingOptions()
      change(&options)
      let error = #expect(throws: ApusError.self, "\(name)") { try options.validate() }
      #expect(error?.kind == .value && error?.message.contains(name) == true)
    }
  }

  @Test func optionsSurviveJSON() throws {
    var options = TrainingOptions()
    options.optimizer = .adamw
    options.schedule = .linear
    options.clipNorm = 0.5
    let data = try JSONEncoder().encode(options)
    #expect(try JSONDecoder().decode(TrainingOptions.self, from: data) == options)
  }

  @Test func schedules() {
    let schedules: [(LearningRateSchedule, [Double])] = [
      (.constant, [1, 1, 1, 1]), (.linear, [1, 0.75, 0.5, 0.25]),
      (.cosine, [0, 0.25, 0.5, 0.75].map { (1 + cos(.pi * $0)) / 2 }),
    ]
    for (schedule, expected) in schedules {
      for (step, factor) in expected.enumerated() {
        #expect(abs(Double(schedule.factor(step: step, of: 4)) - factor) < 1e-6, "\(schedule)")
      }
      #expect(schedule.factor(step: 0, of: 0).isFinite)
    }
  }

  @Test func optimizersByName() throws {
    let parameter = Parameter(try Tensor.ones([2], on: TestDevices.reference))
    for kind in OptimizerKind.allCases {
      let optimizer = try kind.make([parameter], learningRate: 0.1)
      #expect(optimizer.learningRate == 0.1)
      let takes = kind == .sgd || kind == .rmsprop
      let other = try? kind.make([parameter], learningRate: 0.1, momentum: 0.9)
      #expect((other != nil) == takes, "\(kind)")
    }
  }
}

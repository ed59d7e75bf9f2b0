import Apus
import ApusTraining
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
      ("clipping", { ($0.clipNorm, $0.clipValue) = (1, 1) }), ("l1", { $0.l1 = -1 }),
      ("l1", { $0.l1 = .nan }), ("max norm", { $0.maxNorm = 0 }),
      ("max norm", { $0.maxNorm = .infinity }), ("early stopping", { $0.earlyStopping = 0 }),
      ("min delta", { $0.minDelta = -1 }), ("min delta", { $0.minDelta = .infinity }),
      ("warm-up epochs", { $0.warmupEpochs = -1 }), ("warm-up steps", { $0.warmupSteps = .max }),
      ("warm-up", { ($0.schedule, $0.warmupSteps) = (.oneCycle(), 3) }),
      ("epochs", { $0.schedule = .step(epochs: 0) }),
      ("factor", { $0.schedule = .exponential(factor: .nan) }),
      ("factor", { $0.schedule = .plateau(factor: 1) }),
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
    options.schedule = .multiStep(milestones: [3, 7], factor: 0.3)
    options.clipNorm = 0.5
    options.seed = .max
    options.monitor = .validationAccuracy
    options.frozenPrefixes = ["a", "b"]
    options.learningRate = 0.1
    options.minDelta = 1e-3
    let data = try JSONEncoder().encode(options)
    #expect(try JSONDecoder().decode(TrainingOptions.self, from: data) == options)
  }

  @Test func warmUpMustEndWithinTheRun() throws {
    let data = try TrajectoryTests.digits().subset(Array(0..<64))
    var options = TrainingOptions()
    options.epochs = 3
    options.batchSize = 16
    let device = TestDevices.reference
    func make() throws -> Trainer {
      try Trainer(
        model: try TrajectoryTests.network(dropout: 0, on: device), training: data,
        options: options, device: device)
    }
    options.warmupEpochs = 2
    options.warmupSteps = 3
    _ = try make()
    options.warmupSteps = 4
    let error = #expect(throws: ApusError.self) { try make() }
    #expect(error?.message.contains("12 steps") == true)
  }

  @Test func balancedClassesWeighTheSame() throws {
    let labels: [Int32] = [0, 0, 0, 0, 0, 0, 2, 2]
    // scikit-learn's 'balanced': 8 / (2 · 6) and 8 / (2 · 2); the absent class plays no part.
    #expect(
      ClassWeighting.balanced.weights(labels, classCount: 3) == [Float(8.0 / 12), 0, 2])
    #expect(ClassWeighting.none.weights(labels, classCount: 3) == nil)
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

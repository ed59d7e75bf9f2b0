import Apus
import Foundation
import TestSupport
import Testing

struct TrainerTests {
  private let device = TestDevices.fast.first ?? TestDevices.reference

  private func trainer(_ change: (inout TrainingOptions) -> Void) throws -> Trainer {
    var options = TrainingOptions()
    options.epochs = 4
    options.batchSize = 300
    change(&options)
    let data = try TrajectoryTests.digits()
    return try Trainer(
      model: try TrajectoryTests.network(dropout: 0, on: device),
      training: try data.subset(Array(0..<1000)), validation: try data.subset(Array(1000..<1100)),
      options: options, device: device)
  }

  @Test func eventsTellTheRun() throws {
    let trainer = try trainer { $0.schedule = .linear }
    #expect(trainer.stepsPerEpoch == 4)
    var lines: [String] = []
    var epochs: [TrainingEvent.Epoch] = []
    var saved = 0
    let outcome = try trainer.run(
      onEvent: {
        lines.append(try $0.json())
        if case .epoch(let epoch) = $0 {
          epochs.append(epoch)
          #expect(saved == epoch.epoch, "saved before it is told")
        }
      }, onEpoch: { _ in saved += 1 })
    #expect(outcome.epochs == 4 && outcome.steps == 16 && !outcome.wasCancelled)
    #expect(epochs.map(\.epoch) == [1, 2, 3, 4] && epochs.map(\.step) == [4, 8, 12, 16])
    #expect(lines.count == 20 && lines.allSatisfy { $0.hasPrefix(#"{"event":""#) })
    #expect(lines.allSatisfy { !$0.contains("\n") })
    // Those of the last step of each epoch: 3, 7, 11, 15 of 16.
    let rates = [13, 9, 5, 1].map { 1e-3 * Double($0) / 16 }
    #expect(zip(epochs, rates).allSatisfy { abs($0.learningRate - $1) < 1e-9 })
    #expect((epochs.last?.validationLoss ?? 9) < (epochs.first?.validationLoss ?? 0))
  }

  /// The mean over examples, though the last batch is smaller.
  @Test func epochLossWeighsExamples() throws {
    let trainer = try trainer { $0.learningRate = 0 }
    var losses: [Double] = []
    var means: [Double] = []
    try trainer.run(onEvent: {
      switch $0 {
      case .step(let step): losses.append(step.loss)
      case .epoch(let epoch): means.append(epoch.trainLoss)
      case .gradients, .earlyStop, .result: break
      }
    })
    let first = zip(losses, [300, 300, 300, 100.0]).reduce(0) { $0 + $1.0 * $1.1 } / 1000
    #expect(abs(means[0] - first) < 1e-9)
    // Nothing is learnt, so every order of the data has the same mean.
    #expect(means.allSatisfy { abs($0 - first) < 1e-5 })
  }

  @Test func cancelledBetweenSteps() throws {
    let trainer = try trainer { _ in }
    var asked = 0
    var steps = 0
    let outcome = try trainer.run(
      isCancelled: {
        asked += 1
        return asked > 6
      }, onEvent: { if case .step = $0 { steps += 1 } })
    #expect(outcome.wasCancelled && outcome.epochs == 1 && outcome.steps == 6)
    #expect(steps == 6, "what was computed is told")
  }

  @Test(arguments: TestDevices.all)
  func divergenceIsAnError(device: Device) throws {
    let model = try TrajectoryTests.network(dropout: 0, on: device)
    var options = TrainingOptions()
    options.learningRate = 1e30
    options.batchSize = 64
    let data = try TrajectoryTests.digits().subset(Array(0..<256))
    var saved = 0
    let trainer = try Trainer(model: model, training: data, options: options, device: device)
    let error = #expect(throws: ApusError.self) { try trainer.run(onEpoch: { _ in saved += 1 }) }
    #expect(error?.message.contains("learning rate") == true && saved == 0)
  }

  /// The loss of the only step looks well, what the step leaves does not.
  @Test(arguments: TestDevices.all)
  func ruinedWeightsAreNotSaved(device: Device) throws {
    let model = try TrajectoryTests.network(dropout: 0, on: device)
    var options = TrainingOptions()
    options.optimizer = .sgd
    options.weightDecay = 1e38
    options.learningRate = 1e38
    options.batchSize = 10_000
    let data = try TrajectoryTests.digits().subset(Array(0..<64))
    var saved = 0
    let trainer = try Trainer(model: model, training: data, options: options, device: device)
    let error = #expect(throws: ApusError.self) { try trainer.run(onEpoch: { _ in saved += 1 }) }
    #expect(error?.message.contains("no longer finite after step 1") == true && saved == 0)
  }

  /// Reports do not change the run, and say what each parameter's gradient is like.
  @Test func gradientsAreTold() throws {
    var reports: [TrainingEvent.Gradients] = []
    var lines: [String] = []
    let told = try trainer { $0.gradientReport = 3 }
    try told.run(onEvent: {
      if case .gradients(let report) = $0 {
        reports.append(report)
        lines.append(try $0.json())
      }
    })
    // The first of each epoch of four steps, and every third.
    #expect(reports.map(\.step) == [1, 3, 5, 6, 9, 12, 13, 15])
    #expect(reports.map(\.epoch) == [1, 1, 2, 2, 3, 3, 4, 4])
    for report in reports {
      #expect(report.layers.allSatisfy { $0.finding == .healthy && $0.suggestion == nil })
      let squares = report.layers.reduce(0) { $0 + $1.gradientNorm * $1.gradientNorm }
      #expect(report.norm > 0 && abs(report.norm - squares.squareRoot()) < 1e-5 * report.norm)
    }
    #expect(lines.allSatisfy { $0.hasPrefix(#"{"event":"gradients","epoch":"#) })
    #expect(reports[0].layers.map(\.name) == ["0.weight", "0.bias", "3.weight", "3.bias"])
    var (silent, other) = ([Double](), [Double]())
    try trainer { _ in }.run(onEvent: { if case .step(let step) = $0 { silent.append(step.loss) } })
    try trainer { $0.gradientReport = 0 }.run(
      onEvent: { if case .step(let step) = $0 { other.append(step.loss) } })
    #expect(silent == other && silent.count == 16)
  }

  /// An objective of one's own: steps that hand something on, and figures that are not of classes.
  @Test func ownObjective() throws {
    let model = try Linear(1, 1, key: RandomKey(1), on: device)
    var options = TrainingOptions()
    options.epochs = 2
    options.batchSize = 1
    let trainer = try Trainer(
      model: model, objective: Chain(device: device), options: options, device: device)
    var (losses, epochs) = ([Double](), [TrainingEvent.Epoch]())
    try trainer.run(onEvent: {
      switch $0 {
      case .step(let step): losses.append(step.loss)
      case .epoch(let epoch): epochs.append(epoch)
      default: break
      }
    })
    #expect(losses.count == 6)
    // Weights 1, 2, 3 of the three steps.
    let mean = (losses[0] + 2 * losses[1] + 3 * losses[2]) / 6
    #expect(abs(epochs[0].trainLoss - mean) < 1e-6)
    #expect(epochs[0].validationLoss == 7 && epochs[0].validationAccuracy == nil)
    #expect(epochs[0].validationFigures == ["length": 3])
    options.monitor = .validationAccuracy
    #expect(throws: ApusError.self) {
      try Trainer(model: model, objective: Chain(device: device), options: options, device: device)
    }
  }

  @Test func callbacksMayThrow() throws {
    struct Full: Error {}
    let trainer = try trainer { _ in }
    #expect(throws: Full.self) { try trainer.run(onEpoch: { _ in throw Full() }) }
  }
}

/// Each step begins with what the model made of the step before.
private struct Chain: Objective {
  let device: Device
  let fingerprint = "chain"
  let stepsPerEpoch = 3
  let hasValidation = true
  let hasAccuracy = false

  func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
    Pass(model: model, state: try Tensor.ones([1, 1], on: device))
  }

  func validate(_ model: any Layer) -> Figures? { Figures(loss: 7, others: ["length": 3]) }

  private final class Pass: TrainingPass {
    let model: any Layer
    var state: Tensor
    var count = 0

    init(model: any Layer, state: Tensor) { (self.model, self.state) = (model, state) }

    func next() throws -> TrainingStep? {
      guard count < 3 else { return nil }
      count += 1
      return TrainingStep(weight: count) { [self] context in
        let y = try model(state, context)
        state = y.detached
        return try (y - 2).square().mean()
      }
    }
  }
}

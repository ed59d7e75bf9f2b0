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
      case .earlyStop, .result: break
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

  @Test func callbacksMayThrow() throws {
    struct Full: Error {}
    let trainer = try trainer { _ in }
    #expect(throws: Full.self) { try trainer.run(onEpoch: { _ in throw Full() }) }
  }
}

import Apus
import ApusTraining
import TestSupport
import Testing

/// What keeps a device busy: a step neither waits for it nor asks it for memory.
@Suite(.serialized)
struct SteadyStateTests {
  /// Opened anew by each test, so that nothing else is counted.
  static let names = TestDevices.fast.map(\.name)

  @Test(arguments: names, [false, true])
  func stepsNeitherWaitNorAllocate(name: String, isPenalised: Bool) throws {
    let device = try Devices.named(name)
    let source = try BatchSource(try TrajectoryTests.digits(), on: device)
    let model = try TrajectoryTests.network(dropout: 0.2, on: device)
    let optimizer = try Adam(model.parameters(), learningRate: 1e-3)
    var batches = try (1...2).map { try source.batches(key: RandomKey($0), batchSize: 64) }
    var losses: [Tensor] = []
    let penalty = try L1Penalty(1e-4)
    let maxNorm = try MaxNorm(2)

    func step(_ index: Int) throws {
      let batch = try #require(try batches[index / 20].next())
      let (loss, gradients) = try valueAndGradients(
        of: optimizer.parameters, key: RandomKey(UInt64(index))
      ) { context in
        let logits = try model(batch.x, context)
        return try batch.loss { try crossEntropy(logits, $0) }
      }
      if isPenalised {
        let penalised = try penalty.added(to: gradients, of: optimizer.parameters)
        try optimizer.step(penalised)
        try maxNorm.apply(to: optimizer.parameters)
      } else {
        try optimizer.step(gradients)
      }
      losses.append(loss)
      // As many stay alive as before: the pool has what the next step needs.
      if losses.count > 4 { losses.removeFirst() }
    }

    for index in 0..<20 { try step(index) }
    let before = device.counters
    for index in 20..<40 { try step(index) }
    let after = device.counters
    #expect(after.synchronizations == before.synchronizations)
    #expect(after.allocations == before.allocations)
    #expect(after.poolHits > before.poolHits, "the counters count")
    #expect(after.bytesInUse == before.bytesInUse, "nothing piles up")
    #expect(try losses.allSatisfy { try $0.item().isFinite })
  }

  /// The trainer itself waits when it reads a bundle of losses, not at every step.
  @Test(arguments: names)
  func trainingWaitsPerBundle(name: String) throws {
    let device = try Devices.named(name)
    let data = try TrajectoryTests.digits()
    var options = TrainingOptions()
    options.epochs = 3
    options.batchSize = 16
    let trainer = try Trainer(
      model: try TrajectoryTests.network(dropout: 0, on: device), training: data,
      options: options, device: device)
    let before = device.counters.synchronizations
    let outcome = try trainer.run()
    let waits = device.counters.synchronizations - before
    #expect(outcome.steps == 3 * trainer.stepsPerEpoch)
    #expect(waits * 4 < outcome.steps, "\(waits) waits in \(outcome.steps) steps")
  }
}

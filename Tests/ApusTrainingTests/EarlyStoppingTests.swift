import Apus
import TestSupport
import Testing

struct EarlyStoppingTests {
  private let device = TestDevices.fast.first ?? TestDevices.reference

  /// Validation examples with labels shifted by one: what is learnt makes their loss grow.
  private func trainer(
    _ change: (inout TrainingOptions) -> Void
  ) throws -> (trainer: Trainer, model: Sequential) {
    var options = TrainingOptions()
    options.epochs = 12
    options.batchSize = 100
    options.learningRate = 3e-3
    options.schedule = .constant
    options.earlyStopping = 3
    change(&options)
    let data = try TrajectoryTests.digits()
    var validation = try data.subset(Array(900..<1000))
    validation.labels = validation.labels.map { ($0 + 1) % 10 }
    let model = try TrajectoryTests.network(dropout: 0, on: device)
    return (
      try Trainer(
        model: model, training: try data.subset(Array(0..<500)), validation: validation,
        options: options, device: device), model
    )
  }

  @Test func stopsAndGivesTheBestBack() throws {
    let (trainer, model) = try trainer { _ in }
    var weights: [[String: [Float]]] = []
    var losses: [Double] = []
    var stops: [TrainingEvent.EarlyStop] = []
    var line = ""
    let outcome = try trainer.run(
      onEvent: {
        if case .epoch(let epoch) = $0 { losses.append(epoch.validationLoss ?? .nan) }
        if case .earlyStop(let stop) = $0 {
          stops.append(stop)
          line = try $0.json()
        }
      }, onEpoch: { weights.append(try $0.weights.mapValues { try $0.scalars() }) })
    let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
    #expect(outcome.best?.epoch == best + 1 && outcome.best?.figure == losses[best])
    #expect(outcome.epochs == best + 1 + 3 && outcome.epochs < 12 && outcome.modelEpoch == best + 1)
    #expect(!outcome.wasCancelled && outcome.steps == 5 * outcome.epochs)
    #expect(try model.state().mapValues { try $0.scalars() } == weights[best])
    #expect(weights.last != weights[best])
    #expect(stops.map(\.epoch) == [outcome.epochs] && stops[0].bestEpoch == best + 1)
    #expect(line.hasPrefix(#"{"event":"early-stop","#) && line.contains(#""validation-loss""#))
  }

  /// The best is given back where patience outlasts the run, too.
  @Test func lastEpochIsNotTheBest() throws {
    let (trainer, model) = try trainer { ($0.epochs, $0.earlyStopping) = (5, 100) }
    var weights: [[String: [Float]]] = []
    let outcome = try trainer.run(
      onEpoch: { weights.append(try $0.weights.mapValues { try $0.scalars() }) })
    let best = try #require(outcome.best?.epoch)
    #expect(outcome.epochs == 5 && best < 5 && outcome.modelEpoch == best)
    #expect(try model.state().mapValues { try $0.scalars() } == weights[best - 1])
  }

  @Test func withoutItTheLastEpochStays() throws {
    let (trainer, model) = try trainer { ($0.epochs, $0.earlyStopping) = (5, nil) }
    var last: [String: [Float]] = [:]
    let outcome = try trainer.run(
      onEpoch: { last = try $0.weights.mapValues { try $0.scalars() } })
    #expect(outcome.modelEpoch == 5 && (outcome.best?.epoch ?? 5) < 5)
    #expect(try model.state().mapValues { try $0.scalars() } == last)
  }

  /// Nothing changes at a rate of 0, so the first epoch is best and no tie beats it.
  @Test(arguments: Monitor.allCases)
  func tiesAreNoImprovement(monitor: Monitor) throws {
    let (trainer, _) = try trainer { ($0.learningRate, $0.monitor) = (0, monitor) }
    let outcome = try trainer.run()
    #expect(outcome.best?.epoch == 1 && outcome.epochs == 4)
  }

  /// Losses fall by less than the least that counts.
  @Test func smallStepsForwardDoNotCount() throws {
    let data = try TrajectoryTests.digits()
    var options = TrainingOptions()
    options.epochs = 10
    options.learningRate = 1e-5
    options.earlyStopping = 2
    func epochs(_ minDelta: Double) throws -> Int {
      options.minDelta = minDelta
      return try Trainer(
        model: try TrajectoryTests.network(dropout: 0, on: device),
        training: try data.subset(Array(0..<200)), validation: try data.subset(Array(900..<1000)),
        options: options, device: device
      ).run().epochs
    }
    #expect(try epochs(0) == 10)
    #expect(try epochs(0.5) == 3)
  }

  @Test func validationIsNeeded() throws {
    let data = try TrajectoryTests.digits().subset(Array(0..<50))
    for change in [
      { $0.earlyStopping = 2 }, { $0.schedule = .plateau() },
    ] as [(inout TrainingOptions) -> Void] {
      var options = TrainingOptions()
      change(&options)
      let error = #expect(throws: ApusError.self) {
        try Trainer(
          model: try TrajectoryTests.network(dropout: 0, on: device), training: data,
          options: options, device: device)
      }
      #expect(error?.message.contains("validation") == true)
    }
  }

  @Test func frozenLayersStay() throws {
    let (trainer, model) = try trainer {
      ($0.frozenPrefixes, $0.earlyStopping, $0.l1, $0.maxNorm) = (["0."], nil, 1e-3, 0.5)
    }
    let before = try model.state().mapValues { try $0.scalars() }
    try trainer.run()
    for (name, value) in model.state() {
      #expect(try (value.scalars() == before[name]) == name.contains("0."), "\(name)")
    }
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// A run that goes on from a checkpoint is the run that never stopped.
struct CheckpointTests {
  /// One of each kind of memory: optimizers, schedules, early stopping.
  struct Plan: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout TrainingOptions) -> Void
  }

  static let plans: [Plan] = [
    Plan(testDescription: "sgd, momentum, warm-up and cosine") {
      ($0.optimizer, $0.momentum, $0.learningRate, $0.warmupEpochs) = (.sgd, 0.9, 0.05, 2)
    },
    Plan(testDescription: "adam, plateau on a figure that stalls") {
      $0.schedule = .plateau(factor: 0.5, patience: 0)
      ($0.monitor, $0.learningRate) = (.validationAccuracy, 0.2)
    },
    Plan(testDescription: "adamw, early stopping that never comes") {
      ($0.optimizer, $0.earlyStopping, $0.schedule) = (.adamw, 100, .exponential(factor: 0.8))
    },
    Plan(testDescription: "rmsprop, momentum, early stopping after some epochs") {
      ($0.optimizer, $0.momentum, $0.earlyStopping, $0.minDelta) = (.rmsprop, 0.5, 2, 0.5)
    },
    Plan(testDescription: "adagrad, one cycle, penalties, balanced classes") {
      ($0.optimizer, $0.schedule, $0.l1, $0.maxNorm) = (.adagrad, .oneCycle(maximum: 0.02), 1e-4, 1)
      ($0.classWeights, $0.labelSmoothing, $0.clipNorm) = (.balanced, 0.1, 1)
    },
  ]

  private static func options(_ plan: Plan) -> TrainingOptions {
    var options = TrainingOptions()
    options.epochs = 6
    options.batchSize = 50
    options.seed = 3
    plan.change(&options)
    return options
  }

  /// The first examples of the digits; the seed of the weights is of no importance to who resumes.
  private static func trainer(
    _ options: TrainingOptions, on device: Device, count: Int = 320, seed: UInt64 = 1
  ) throws -> (trainer: Trainer, model: Sequential) {
    let keys = RandomKey(seed).split(2)
    let model = Sequential([
      try Linear(64, 16, key: keys[0], on: device), ReLU(), try Dropout(0.2),
      try Linear(16, 10, key: keys[1], on: device),
    ])
    let data = try TrajectoryTests.digits()
    return (
      try Trainer(
        model: model, training: try data.subset(Array(0..<count)),
        validation: try data.subset(Array(1000..<1100)), options: options, device: device), model
    )
  }

  /// Epochs as told, without the time they took.
  private static func told(_ event: TrainingEvent) throws -> String? {
    switch event {
    case .epoch(let e):
      "\(e.epoch) \(e.step) \(e.trainLoss) \(e.validationLoss ?? 0) \(e.learningRate)"
    case .earlyStop: try event.json()
    case .step, .gradients, .result: nil
    }
  }

  @Test(arguments: plans, TestDevices.all)
  func resumesToTheSameBits(_ plan: Plan, on device: Device) throws {
    let folder = try Folder()
    let options = Self.options(plan)
    let whole = try Self.trainer(options, on: device)
    var expected: [String] = []
    let outcome = try whole.trainer.run(
      onEvent: { if let line = try Self.told($0) { expected.append(line) } },
      onEpoch: { try $0.write(to: folder.path("\($0.progress.epoch)")) })
    let weights = try whole.model.state().mapValues { try $0.scalars() }

    for epoch in 1...outcome.epochs {
      let resumed = try Self.trainer(options, on: device, seed: 99)
      var lines: [String] = []
      let end = try resumed.trainer.run(
        from: try Checkpoint(path: folder.path("\(epoch)"), on: device),
        onEvent: { if let line = try Self.told($0) { lines.append(line) } })
      #expect(lines == Array(expected.dropFirst(epoch)), "after epoch \(epoch)")
      #expect(end.epochs == outcome.epochs && end.steps == outcome.steps)
      #expect(end.best == outcome.best && end.modelEpoch == outcome.modelEpoch)
      #expect(try resumed.model.state().mapValues { try $0.scalars() } == weights)
    }
  }

  /// The plans are worth their names.
  @Test func plansReachWhatTheyTest() throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    let stopped = try Self.trainer(Self.options(Self.plans[3]), on: device).trainer.run()
    #expect(stopped.epochs < 6 && stopped.best.map { $0.epoch < stopped.epochs } == true)
    var rates: Set<Double> = []
    try Self.trainer(Self.options(Self.plans[1]), on: device).trainer.run(
      onEvent: { if case .epoch(let epoch) = $0 { rates.insert(epoch.learningRate) } })
    #expect(rates.count > 1)
  }

  @Test func goesOnOnAnotherDevice() throws {
    let folder = try Folder()
    let options = Self.options(Self.plans[0])
    let whole = try Self.trainer(options, on: TestDevices.reference)
    try whole.trainer.run(onEpoch: { try $0.write(to: folder.path("\($0.progress.epoch)")) })
    for device in TestDevices.fast {
      let resumed = try Self.trainer(options, on: device)
      try resumed.trainer.run(from: try Checkpoint(path: folder.path("3"), on: device))
      for (name, value) in whole.model.state() {
        let found = try #require(resumed.model.state()[name])
        // Three epochs of rounding apart.
        #expect(try distance(found, value) < 1e-3, "\(name) on \(device)")
      }
    }
  }

  @Test func otherRunsAreRefused() throws {
    let device = TestDevices.reference
    let folder = try Folder()
    var options = Self.options(Self.plans[0])
    options.epochs = 2
    options.warmupEpochs = 1
    try Self.trainer(options, on: device, count: 100).trainer.run(
      onEpoch: { try $0.write(to: folder.path("\($0.progress.epoch)")) })
    let checkpoint = try Checkpoint(path: folder.path("2"), on: device)
    func refusal(_ count: Int = 100, _ change: (inout TrainingOptions) -> Void) throws -> String {
      var other = options
      change(&other)
      let trainer = try Self.trainer(other, on: device, count: count).trainer
      let error = #expect(throws: ApusError.self) { try trainer.run(from: checkpoint) }
      #expect(error?.operation == folder.path("2"))
      return error?.message ?? ""
    }
    #expect(try refusal(101) { _ in }.contains("other data"))
    #expect(try refusal { $0.learningRate = 0.5 }.contains("learningRate was 0.05, is 0.5"))
    #expect(try refusal { $0.clipNorm = 2 }.contains("clipNorm was none, is 2.0"))
    #expect(try refusal { $0.epochs = 3 }.contains("schedule cosine depends"))
    // A schedule that does not look at the end allows another one, but not the past.
    options.schedule = .constant
    try Self.trainer(options, on: device, count: 100).trainer.run(
      onEpoch: { try $0.write(to: folder.path("c\($0.progress.epoch)")) })
    let second = try Checkpoint(path: folder.path("c2"), on: device)
    options.epochs = 4
    #expect(try Self.trainer(options, on: device, count: 100).trainer.run(from: second).epochs == 4)
    options.epochs = 1
    options.warmupEpochs = 0
    let short = try Self.trainer(options, on: device, count: 100).trainer
    #expect(throws: ApusError.self) { try short.run(from: second) }
  }

  @Test func damageIsNoticed() throws {
    let device = TestDevices.reference
    let folder = try Folder()
    var options = Self.options(Self.plans[2])
    options.epochs = 1
    try Self.trainer(options, on: device, count: 60).trainer.run(
      onEpoch: { try $0.write(to: folder.path("good")) })
    let good = try Data(contentsOf: URL(fileURLWithPath: folder.path("good")))
    _ = try Checkpoint(path: folder.path("good"), on: device)
    func complaint(_ data: Data) throws -> String {
      try data.write(to: URL(fileURLWithPath: folder.path("bad")))
      let error = #expect(throws: ApusError.self) {
        try Checkpoint(path: folder.path("bad"), on: device)
      }
      #expect(error?.operation == folder.path("bad"))
      return error?.message ?? ""
    }
    for length in [0, 7, 100, good.count / 2, good.count - 1] {
      #expect(try complaint(good.prefix(length)).contains("no valid safetensors"))
    }
    var flipped = good
    flipped[good.count - 9] ^= 0x40
    #expect(try complaint(flipped).contains("checksum"))
    func edited(_ old: String, _ new: String) -> Data {
      let count = good.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      let header = Data(
        String(decoding: good.dropFirst(8).prefix(count), as: UTF8.self)
          .replacing(old, with: new).utf8)
      return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header
        + good.dropFirst(8 + count)
    }
    #expect(try complaint(edited(#"\"version\":1"#, #"\"version\":7"#)).contains("version 7"))
    #expect(
      try complaint(edited(#"\"epoch\":1,\"opt"#, #"\"epoch\":-4,\"opt"#)).contains("damaged"))
    #expect(try complaint(edited("apus.checkpoint", "apus.checkpoimt")).contains("no checkpoint"))
    #expect(try complaint(edited(#"\"progress\""#, #"\"program\""#)).contains("damaged"))
    // A step that does not belong to the epoch shows where the run is known.
    let path = folder.path("bad")
    try edited(#"\"step\":2"#, #"\"step\":9223372036854775807"#).write(
      to: URL(fileURLWithPath: path))
    let trainer = try Self.trainer(options, on: device, count: 60).trainer
    let error = #expect(throws: ApusError.self) {
      try trainer.run(from: try Checkpoint(path: path, on: device))
    }
    #expect(error?.message.contains("9223372036854775807") == true)
  }
}

/// A folder of its own for one test, removed with it.
private final class Folder {
  private let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-checkpoint-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

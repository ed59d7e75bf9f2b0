import Apus
import TestSupport
import Testing

/// The project's first promise: one model, any device, one answer.
struct TrajectoryTests {
  static let steps = 200

  /// 64 inputs, 32 hidden units, 10 classes.
  static func network(dropout: Float, on device: Device) throws -> Sequential {
    let keys = RandomKey(11).split(2)
    return Sequential([
      try Linear(64, 32, key: keys[0], on: device), ReLU(), try Dropout(dropout),
      try Linear(32, 10, key: keys[1], on: device),
    ])
  }

  /// The training part of the digits, flat and scaled to 0…1.
  static func digits() throws -> Dataset {
    let data = try DataSource.load("digits").train
    return try Dataset(
      name: data.name, features: data.features.map { $0 / 16 }, featureShape: [64],
      labels: data.labels, classNames: data.classNames)
  }

  /// The loss of every step, and all weights at the end.
  private static func trajectory(
    dropout: Float, on device: Device
  ) throws -> (losses: [Double], weights: [String: [Float]]) {
    let model = try network(dropout: dropout, on: device)
    var options = TrainingOptions()
    options.seed = 5
    options.learningRate = 3e-3
    options.batchSize = 64
    let data = try digits()
    let perEpoch = (data.count + 63) / 64
    options.epochs = (steps + perEpoch - 1) / perEpoch
    var losses: [Double] = []
    try Trainer(model: model, training: data, options: options, device: device).run(
      onEvent: { if case .step(let step) = $0 { losses.append(step.loss) } })
    return (Array(losses.prefix(steps)), try model.state().mapValues { try $0.scalars() })
  }

  @Test(arguments: [Float(0), 0.2])
  func devicesAgree(dropout: Float) throws {
    let expected = try Self.trajectory(dropout: dropout, on: TestDevices.reference)
    #expect(expected.losses.count == Self.steps)
    #expect((expected.losses.last ?? 9) < expected.losses[0] / 3)
    for device in TestDevices.fast {
      let found = try Self.trajectory(dropout: dropout, on: device)
      let worst = zip(found.losses, expected.losses).map { abs($0 - $1) / abs($1) }.max() ?? 1
      #expect(found.losses.count == Self.steps && worst < 1e-3, "\(device): \(worst)")
    }
  }

  /// Not merely close: the same bits, dropout and shuffling included.
  @Test(arguments: TestDevices.all)
  func repeatsAreIdentical(device: Device) throws {
    let first = try Self.trajectory(dropout: 0.2, on: device)
    let second = try Self.trajectory(dropout: 0.2, on: device)
    #expect(first.losses == second.losses)
    #expect(first.weights == second.weights)
  }
}

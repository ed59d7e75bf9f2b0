import Apus
import TestSupport
import Testing

/// The first promise for a network of twenty layers with batch normalisation.
struct ResidualTrajectoryTests {
  static let steps = 100

  /// `resnet20` on digits of 8 x 8 in batches of 4, which the naive device bears.
  private static func losses(on device: Device) throws -> [Double] {
    var options = TrainingOptions()
    options.seed = 6
    options.optimizer = .sgd
    options.momentum = 0.9
    options.learningRate = 2e-3
    options.schedule = .constant
    options.batchSize = 4
    options.epochs = 1
    let digits = try DataSource.load("digits").train.subset(Array(0..<4 * steps))
    let data = try Preprocessing.scale(by: 1 / 16).applied(to: digits)
    let description = try Preset.named("resnet20").description(
      inputShape: data.featureShape, classCount: data.classCount)
    let model = try GraphModel(description, key: options.initialKey, on: device)
    var losses: [Double] = []
    try Trainer(model: model, training: data, options: options, device: device).run(
      onEvent: { if case .step(let step) = $0 { losses.append(step.loss) } })
    return losses
  }

  /// Batches of four make a network of many normalisations sensitive: rounding of 1e-7 grows by a
  /// factor of some hundred over the run. The bound is the one stated in Numerics.
  @Test func devicesAgree() throws {
    let expected = try Self.losses(on: TestDevices.reference)
    #expect(expected.count == Self.steps)
    let last = expected.suffix(20).reduce(0, +) / 20
    #expect(last < expected.prefix(20).reduce(0, +) / 20 - 0.2, "it learns")
    for device in TestDevices.fast {
      let found = try Self.losses(on: device)
      let worst = zip(found, expected).map { abs($0 - $1) / (0.1 + abs($1)) }.max() ?? 1
      print("trajectory \(device): \(worst)")
      #expect(found.count == Self.steps && worst < 1e-3, "\(device): \(worst)")
    }
  }
}

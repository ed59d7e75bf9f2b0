import Apus
import TestSupport
import Testing

/// The first promise for a network of twenty layers with batch normalisation.
struct ResidualTrajectoryTests {
  static let steps = 100

  /// `resnet20` on digits of 8 x 8 in batches of 4, which the naive device bears.
  private static func losses(activation: String, on device: Device) throws -> [Double] {
    var options = TrainingOptions()
    options.seed = 6
    options.optimizer = .sgd
    options.momentum = 0.9
    options.learningRate = 2e-4
    options.schedule = .constant
    options.batchSize = 4
    options.epochs = 1
    let digits = try DataSource.load("digits").train.subset(Array(0..<4 * steps))
    let data = try Preprocessing.scale(by: 1 / 16).applied(to: digits)
    var description = try Preset.named("resnet20").description(
      inputShape: data.featureShape, classCount: data.classCount)
    for index in description.layers.indices where description.layers[index].type == "ReLU" {
      description.layers[index].type = activation
    }
    let model = try GraphModel(description, key: options.initialKey, on: device)
    var losses: [Double] = []
    try Trainer(model: model, training: data, options: options, device: device).run(
      onEvent: { if case .step(let step) = $0 { losses.append(step.loss) } })
    return losses
  }

  /// With ReLU a rounding that carries a value over 0 changes a gradient at once, and twenty layers on
  /// four examples feel it: changing the learning rate by a millionth on one device moves later losses
  /// by some hundredths, as much as devices differ. So ReLU gets a wide bound, and a smooth function
  /// in its place, with the same convolutions, normalisations and sums, the narrow one of Numerics.
  @Test(arguments: [("SiLU", 1e-3), ("ReLU", 0.1)])
  func devicesAgree(_ activation: String, _ bound: Double) throws {
    let expected = try Self.losses(activation: activation, on: TestDevices.reference)
    #expect(expected.count == Self.steps)
    let last = expected.suffix(20).reduce(0, +) / 20
    #expect(last < expected.prefix(20).reduce(0, +) / 20 - 0.1, "it learns")
    for device in TestDevices.fast {
      let found = try Self.losses(activation: activation, on: device)
      let worst = zip(found, expected).map { abs($0 - $1) / (0.1 + abs($1)) }.max() ?? 1
      #expect(found.count == Self.steps && worst < bound, "\(device): \(worst)")
    }
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// Models of numbers: what is minimised, and what the file gives back.
@Suite struct RegressorTests {
  /// Two targets of very different units: `100 + 10 a` and `1000 a b`.
  private static func data(_ count: Int) throws -> Dataset {
    var (features, targets) = ([Float](), [Float]())
    for index in 0..<count {
      let (a, b) = (Float(index % 7) / 7, Float(index % 11) / 11)
      features += [a, b]
      targets += [100 + 10 * a, 1000 * a * b]
    }
    return try Dataset(
      name: "numbers", features: features, featureShape: [2], targets: targets, targetShape: [2])
  }

  private static func model(on device: Device) throws -> GraphModel {
    try GraphModel(
      try Preset.named("mlp-small").description(inputShape: [2], classCount: 2),
      key: RandomKey(5), on: device)
  }

  @Test(arguments: RegressionLoss.allCases, TestDevices.all)
  func learnsBothUnits(_ loss: RegressionLoss, on device: Device) throws {
    let data = try Self.data(154)
    let scaling = try TargetScaling.fit(on: data)
    let model = try Self.model(on: device)
    var options = TrainingOptions()
    (options.epochs, options.batchSize, options.learningRate) = (60, 32, 1e-2)
    options.regressionLoss = loss
    var epochs: [TrainingEvent.Epoch] = []
    try Trainer(model: model, training: data, validation: data, options: options, device: device)
      .run(onEvent: { if case .epoch(let epoch) = $0 { epochs.append(epoch) } })
    let last = try #require(epochs.last)
    #expect(last.validationAccuracy == nil)
    #expect((last.validationLoss ?? 9) < (epochs[0].validationLoss ?? 0) / 5)

    let regressor = Regressor(
      model: model, preprocessing: .none, scaling: scaling, loss: loss, device: device)
    let found = try regressor.evaluate(data)
    // Batch normalisations aside, folding changes nothing: the figures are those of the last epoch.
    #expect(abs(found.loss - (last.validationLoss ?? 0)) < 1e-6)
    #expect(abs(found.report.meanAbsoluteError - (last.validationFigures?["mae"] ?? 0)) < 1e-3)
    #expect(found.report.coefficientOfDetermination > 0.95)
    let predictions = try regressor.predictions(data)
    for (a, b) in zip(predictions, found.predictions) { #expect(abs(Double(a) - b) < 1e-2) }
  }

  @Test func fileGivesAllBack() throws {
    let device = TestDevices.reference
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-regressor-\(UUID().uuidString)"
    ).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let regressor = Regressor(
      model: try Self.model(on: device), preprocessing: .scale(by: 2),
      scaling: try TargetScaling(mean: [1, 2], deviation: [3, 4]), loss: .huber, device: device)
    try regressor.write(to: path)
    let back = try Regressor(path: path, on: device)
    #expect(back.scaling == regressor.scaling && back.loss == .huber)
    #expect(back.preprocessing == .scale(by: 2) && back.forecasting == nil)
    let data = try Self.data(5)
    #expect(try back.predictions(data) == regressor.predictions(data))
    let error = #expect(throws: ApusError.self) { try Classifier(path: path, on: device) }
    #expect(error?.message.contains("model of numbers") == true)
    // A scale of other targets than the model gives.
    try Regressor(
      model: regressor.model, preprocessing: .none,
      scaling: try TargetScaling(mean: [1], deviation: [1]), device: device
    ).write(to: path)
    #expect(throws: ApusError.self) { try Regressor(path: path, on: device) }
  }

  @Test func optionsOfClassesAreRefused() throws {
    let device = TestDevices.reference
    let (model, data) = (try Self.model(on: device), try Self.data(9))
    func refused(_ change: (inout TrainingOptions) -> Void) {
      var options = TrainingOptions()
      change(&options)
      #expect(throws: ApusError.self) {
        try Trainer(
          model: model, training: data, validation: data, options: options, device: device)
      }
    }
    refused { $0.labelSmoothing = 0.1 }
    refused { $0.classWeights = .balanced }
    refused { $0.monitor = .validationAccuracy }
    refused { $0.gradientReport = -1 }
  }

  @Test func forecastScores() throws {
    let scores = try ForecastScores(
      predictions: [1, 10, 3, 30], truths: [2, 10, 3, 50], unit: [0.5, 5], targetCount: 2)
    // Errors 1, 0 of the first target and 0, 20 of the second.
    #expect(scores.mae == 5.25 && abs(scores.rmse - (401 / 4.0).squareRoot()) < 1e-9)
    #expect(scores.mase == (1 / 0.5 + 20 / 5.0) / 4)
    #expect(
      try ForecastScores(predictions: [1], truths: [1], unit: nil, targetCount: 1).mase == nil)
    #expect(throws: ApusError.self) {
      try ForecastScores(predictions: [1], truths: [1, 2], unit: nil, targetCount: 1)
    }
    #expect(throws: ApusError.self) {
      try ForecastScores(predictions: [1, 2], truths: [1, 2], unit: [1], targetCount: 2)
    }
  }

  /// Checkpoints of a regression go on to the same bits.
  @Test func resumes() throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-regression-\(UUID().uuidString)"
    ).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var options = TrainingOptions()
    (options.epochs, options.batchSize) = (4, 16)
    options.regressionLoss = .mae
    let data = try Self.data(50)
    func trainer() throws -> (Trainer, GraphModel) {
      let model = try Self.model(on: device)
      return (
        try Trainer(
          model: model, training: data, validation: data, options: options, device: device), model
      )
    }
    let (whole, first) = try trainer()
    try whole.run(onEpoch: { if $0.progress.epoch == 2 { try $0.write(to: path) } })
    let (resumed, second) = try trainer()
    try resumed.run(from: try Checkpoint(path: path, on: device))
    #expect(
      try first.state().mapValues { try $0.scalars() }
        == second.state().mapValues { try $0.scalars() })
    // Another loss is another run.
    options.regressionLoss = .mse
    let (other, _) = try trainer()
    let error = #expect(throws: ApusError.self) {
      try other.run(from: try Checkpoint(path: path, on: device))
    }
    #expect(error?.message.contains("regressionLoss was mae, is mse") == true)
  }
}

import Apus
import Foundation
import TestSupport
import Testing

struct ClassifierTests {
  private func description(_ shape: [Int], _ classes: Int) throws -> ModelDescription {
    try Preset.named("mlp-small").description(inputShape: shape, classCount: classes)
  }

  /// Two examples right, one wrong, by weights that pass the features on.
  @Test(arguments: TestDevices.all)
  func evaluation(device: Device) throws {
    let model = Linear(weight: Parameter(try Tensor.eye(3, on: device)))
    let data = try Dataset(
      name: "three", features: [5, 0, 0, 0, 5, 0, 0, 5, 0], featureShape: [3], labels: [0, 1, 2],
      classNames: ["a", "b", "c"])
    let found = try Evaluation(of: model, on: data, device: device)
    #expect(found.predictions == [0, 1, 1])
    #expect(abs(found.accuracy - 2.0 / 3) < 1e-12)
    // ln(e⁵ + 2) less the logit of the true class.
    let total = log(exp(5.0) + 2)
    #expect(abs(found.loss - (2 * (total - 5) + total) / 3) < 1e-5)
  }

  /// More examples than go through the model at once.
  @Test func evaluationInParts() throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    let labels = (0..<2500).map { Int32($0 % 4) }
    let data = try Dataset(
      name: "many", features: labels.flatMap { label in (0..<4).map { $0 == label ? 9 : 0 } },
      featureShape: [4], labels: labels, classNames: ["a", "b", "c", "d"])
    let model = Linear(weight: Parameter(try Tensor.eye(4, on: device)))
    let found = try Evaluation(of: model, on: data, device: device)
    #expect(found.predictions == labels && found.accuracy == 1)
    #expect(abs(found.loss - (log(exp(9.0) + 3) - 9)) < 1e-6)
    let none = try data.subset([])
    #expect(throws: ApusError.self) { try Evaluation(of: model, on: none, device: device) }
  }

  @Test func fileKeepsEverything() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-classifier-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path

    let loaded = try DataSource.load("iris")
    let test = try #require(loaded.test)
    let written = Classifier(
      model: try GraphModel(description([4], 3), key: RandomKey(1), on: TestDevices.reference),
      preprocessing: try Preprocessing.fit(.standardize, on: loaded.train),
      classNames: loaded.train.classNames, schema: loaded.schema, pixelMaximum: 16,
      device: TestDevices.reference)
    try written.write(to: path)
    let first = try Data(contentsOf: URL(fileURLWithPath: path))
    let expected = try written.probabilities(test)
    for device in TestDevices.all {
      let read = try Classifier(path: path, on: device)
      #expect(read.classNames == written.classNames && read.schema == written.schema)
      #expect(read.preprocessing == written.preprocessing && read.pixelMaximum == 16)
      #expect(distance(try read.probabilities(test), expected.map(Double.init)) < 1e-6)
      #expect(try read.evaluate(test).predictions == written.evaluate(test).predictions)
      // The same classifier writes the same bytes.
      try read.write(to: path)
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == first)
    }
  }

  @Test func strangersAreRefused() throws {
    let device = TestDevices.reference
    let classifier = Classifier(
      model: try GraphModel(description([4], 3), key: RandomKey(1), on: device),
      preprocessing: .none, classNames: ["a", "b", "c"], device: device)
    let wide = try Dataset(
      name: "wide", features: [1, 2, 3, 4, 5], featureShape: [5], labels: [0],
      classNames: ["a", "b", "c"])
    let shape = #expect(throws: ApusError.self) { try classifier.evaluate(wide) }
    #expect(shape?.kind == .shape && shape?.message.contains("[5]") == true)
    let other = try Dataset(
      name: "other", features: [1, 2, 3, 4], featureShape: [4], labels: [0],
      classNames: ["x", "y", "z"])
    let classes = #expect(throws: ApusError.self) { try classifier.evaluate(other) }
    #expect(classes?.message.contains("x") == true && classes?.message.contains("a") == true)
  }
}

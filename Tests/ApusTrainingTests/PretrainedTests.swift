import Apus
import Foundation
import TestSupport
import Testing

/// Weights that others trained, where they are at hand: `models/resnet20.safetensors` and the folder
/// `cifar10-subset` in `$APUS_TEST_DATA`, else in `../shared/data` beside the package.
struct PretrainedTests {
  private static let root =
    ProcessInfo.processInfo.environment["APUS_TEST_DATA"]
    ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/data")
    .path
  private static let weights = root + "/models/resnet20.safetensors"
  private static let images = root + "/cifar10-subset"
  static var isHere: Bool {
    [weights, images].allSatisfy { FileManager.default.fileExists(atPath: $0) }
  }

  /// The published network for CIFAR-10 gets 915 of the first 1 000 test images right. A rounding
  /// cannot turn more than one answer on the brink.
  @Test(.enabled(if: isHere), arguments: TestDevices.fast)
  func residualNetworkForCIFAR(on device: Device) throws {
    let loaded = try DataSource.load(Self.images)
    let test = try #require(loaded.test)
    let description = try Preset.named("resnet20").description(
      inputShape: [3, 32, 32], classCount: 10)
    let classifier = Classifier(
      model: try ModelFile.graph(description, weights: Self.weights, on: device),
      preprocessing: .standardizeChannels(
        mean: [0.485, 0.456, 0.406].map { $0 * 255 },
        deviation: [0.229, 0.224, 0.225].map { $0 * 255 }),
      classNames: test.classNames, pixelMaximum: 255, device: device)
    let accuracy = try classifier.evaluate(test).accuracy
    #expect(abs(accuracy - 0.915) < 0.0011, "\(device): \(accuracy)")
  }
}

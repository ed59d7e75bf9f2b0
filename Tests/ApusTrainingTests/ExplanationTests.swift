import Apus
import Foundation
import TestSupport
import Testing

struct ExplanationTests {
  /// One convolution with known weights, its plane mean as the logit of class 0, minus it as class 1.
  private static func classifier(on device: Device) throws -> Classifier {
    let description = ModelDescription(
      inputShape: [1, 4, 4], classCount: 2,
      layers: [
        LayerDescription(
          name: "conv", type: "Conv2d",
          attributes: ["outChannels": 2, "kernelSize": 1, "bias": false]),
        LayerDescription(name: "relu", type: "ReLU"),
        LayerDescription(name: "pool", type: "AdaptiveAvgPool2d", attributes: ["outputSize": 1]),
        LayerDescription(name: "flat", type: "Flatten"),
        LayerDescription(
          name: "fc", type: "Linear", attributes: ["outFeatures": 2, "bias": false]),
      ])
    let model = try GraphModel(
      description,
      state: [
        "conv.weight": try Tensor([Float(1), -1], shape: [2, 1, 1, 1], on: device),
        "fc.weight": try Tensor([Float(3), 0, 0, 5], shape: [2, 2], on: device),
      ])
    return Classifier(
      model: model, preprocessing: .scale(by: 0.5), classNames: ["bright", "dark"],
      pixelMaximum: 2, device: device)
  }

  private static func image() throws -> Dataset {
    var values = [Float](repeating: 0, count: 16)
    (values[5], values[6], values[12]) = (2, 1, -2)
    return try Dataset(name: "image", features: values, featureShape: [1, 4, 4])
  }

  @Test(arguments: TestDevices.all)
  func evidenceIsWhereTheClassIs(on device: Device) throws {
    let classifier = try Self.classifier(on: device)
    let found = try Explanation(of: classifier, try Self.image())
    // Channel 0 is the positive part of x / 2, channel 1 the negative; logits are 3 · mean and
    // 5 · mean of them.
    #expect(found.classIndex == 1 || found.probabilities[0] > found.probabilities[1])
    let bright = try Explanation(of: classifier, try Self.image(), classIndex: 0)
    var wanted = [Float](repeating: 0, count: 16)
    (wanted[5], wanted[6]) = (1, 0.5)
    #expect(distance(bright.evidence.values, wanted.map(Double.init)) < 1e-6)
    #expect(bright.evidence.layer == "relu")
    let dark = try Explanation(of: classifier, try Self.image(), classIndex: 1)
    wanted = [Float](repeating: 0, count: 16)
    wanted[12] = 1
    #expect(distance(dark.evidence.values, wanted.map(Double.init)) < 1e-6)
    #expect(bright.features.map(\.layer) == ["conv"])
    #expect(bright.features[0].values[5] == 1 && bright.features[0].values[16 + 12] == 1)
    #expect(bright.filters.values == [1, -1] && bright.planesPerFilter == 1)
  }

  @Test func picturesShowWhatTheyShould() throws {
    let found = try Explanation(
      of: try Self.classifier(on: TestDevices.reference), try Self.image(), classIndex: 0)
    let image = try found.imagePicture()
    // 4 x 4 pixels of 64, framed by 2.
    #expect(image.shape == [3, 4 * 64 + 4, 4 * 64 + 4])
    func pixel(_ row: Int, _ column: Int, of picture: HostArray) -> [UInt8] {
      let (height, width) = (picture.shape[1], picture.shape[2])
      return (0..<3).map { picture.bytes[($0 * height + row) * width + column] }
    }
    #expect(pixel(2 + 96, 2 + 96, of: image) == [255, 255, 255])
    #expect(pixel(2 + 96, 2 + 160, of: image) == [128, 128, 128])
    #expect(pixel(0, 0, of: image) == [51, 51, 51])
    // In the middle of the bright pixel red and white, far from it blue and black.
    let overlay = try found.evidencePicture()
    let hot = pixel(2 + 96, 2 + 96, of: overlay)
    let cold = pixel(2 + 230, 2 + 230, of: overlay)
    #expect(hot[0] > hot[2] && hot[0] > 180 && cold[2] > cold[0])
    // A filter of 1 is white, one of −1 black.
    let filters = try found.filterPicture()
    #expect(pixel(4, 4, of: filters) == [255, 255, 255])
    #expect(pixel(4, 4 + 42, of: filters) == [0, 0, 0])
  }

  @Test func writesAPageThatShowsAll() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("explanation-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let found = try Explanation(
      of: try Self.classifier(on: TestDevices.reference), try Self.image(), classIndex: 0)
    let files = try found.write(to: folder, title: "a < b")
    #expect(files == ["index.html", "image.png", "grad-cam.png", "filters.png", "maps-01.png"])
    let page = try String(contentsOfFile: folder + "/index.html", encoding: .utf8)
    #expect(page.contains("a &lt; b") && page.contains("bright"))
    for file in files.dropFirst() {
      #expect(page.contains("src=\"\(file)\""))
      #expect(try PNG.read(folder + "/" + file).shape.count == 3)
    }
  }

  @Test func refusesWhatItCannotExplain() throws {
    let device = TestDevices.reference
    let dense = try GraphModel(
      try Preset.named("mlp-small").description(inputShape: [1, 4, 4], classCount: 2),
      key: RandomKey(1), on: device)
    let classifier = Classifier(
      model: dense, preprocessing: .none, classNames: ["a", "b"], device: device)
    let error = #expect(throws: ApusError.self) {
      try Explanation(of: classifier, try Self.image())
    }
    #expect(error?.message.contains("Conv2d") == true)
    #expect(throws: ApusError.self) {
      try Explanation(of: try Self.classifier(on: device), try Self.image(), classIndex: 2)
    }
    let other = try Dataset(
      name: "other", features: [Float](repeating: 0, count: 25), featureShape: [1, 5, 5])
    #expect(throws: ApusError.self) {
      try Explanation(of: try Self.classifier(on: device), other)
    }
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// Convolutions over frames, then recurrence, from a JSON description alone.
@Suite struct VideoTests {
  static let description = """
    {"layers": [
      {"name": "conv1", "type": "Conv2d", "outChannels": 8, "kernelSize": 3, "padding": 1,
       "activation": "ReLU", "timeDistributed": true},
      {"name": "pool1", "type": "MaxPool2d", "kernelSize": 2, "timeDistributed": true},
      {"name": "conv2", "type": "Conv2d", "outChannels": 8, "kernelSize": 3, "padding": 1,
       "timeDistributed": true},
      {"name": "norm2", "type": "BatchNorm2d", "timeDistributed": true},
      {"name": "relu2", "type": "ReLU"},
      {"name": "flatten", "type": "Flatten", "timeDistributed": true},
      {"name": "gru", "type": "GRU", "hiddenSize": 24, "output": "last"},
      {"name": "fc", "type": "Linear", "outFeatures": "classCount"}]}
    """

  /// Squares and crosses `[6, 1, 8, 8]` that move left, right, up or down, around the edge, from any
  /// place: no frame by itself tells the class.
  private static func videos(_ count: Int, key: RandomKey) throws -> Dataset {
    var values: [Float] = []
    var labels: [Int32] = []
    for index in 0..<count {
      let draw = Philox.block(key: key.value, counter: UInt64(index))
      let direction = Int(draw[0] % 4)
      let (dx, dy) = [(-1, 0), (1, 0), (0, -1), (0, 1)][direction]
      var (x, y) = (Int(draw[1] % 8), Int(draw[2] % 8))
      let shape = [[(0, 0), (1, 0), (0, 1), (1, 1)], [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]][
        Int(draw[3] % 2)]
      for _ in 0..<6 {
        var frame = [Float](repeating: 0, count: 64)
        for (a, b) in shape { frame[(y + b + 8) % 8 * 8 + (x + a + 8) % 8] = 1 }
        values += frame
        (x, y) = ((x + dx + 8) % 8, (y + dy + 8) % 8)
      }
      labels.append(Int32(direction))
    }
    return try Dataset(
      name: "videos", features: values, featureShape: [6, 1, 8, 8], labels: labels,
      classNames: ["left", "right", "up", "down"])
  }

  @Test func motionIsLearnt() throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    let model = try GraphModel(
      try ModelDescription(json: Data(Self.description.utf8), source: "video.json")
        .resolved(inputShape: [6, 1, 8, 8], classCount: 4), key: RandomKey(1), on: device)
    #expect(
      model.nodes.map(\.outputShape) == [
        [6, 8, 8, 8], [6, 8, 4, 4], [6, 8, 4, 4], [6, 8, 4, 4], [6, 8, 4, 4], [6, 128], [24], [4],
      ])
    #expect(model.namedParameters().contains { $0.name == "conv1.weight" })
    var options = TrainingOptions()
    (options.epochs, options.batchSize, options.learningRate) = (12, 32, 5e-3)
    let held = try Self.videos(200, key: RandomKey(8))
    try Trainer(
      model: model, training: try Self.videos(600, key: RandomKey(7)), options: options,
      device: device
    ).run()
    let found = try Evaluation(of: model, on: held, device: device)
    #expect(found.accuracy > 0.9)
    // The order of the frames is what tells: backwards, left becomes right.
    let size = 64
    let features = try held.features
    var backwards: [Float] = []
    for video in 0..<held.count {
      for frame in (0..<6).reversed() {
        let start = (video * 6 + frame) * size
        backwards += features[start..<start + size]
      }
    }
    let turned = try Dataset(
      name: "back", features: backwards, featureShape: [6, 1, 8, 8],
      labels: held.labels.map { $0 ^ 1 }, classNames: held.classNames)
    #expect(try Evaluation(of: model, on: turned, device: device).accuracy > 0.9)
  }

  /// The wrapped layer gives for every frame what the layer alone gives, with its gradients.
  @Test(arguments: TestDevices.all) func framesAreExamples(device: Device) throws {
    func graph(_ isDistributed: Bool) throws -> GraphModel {
      let json = """
        {"inputShape": \(isDistributed ? "[3, 2, 5, 4]" : "[2, 5, 4]"), "layers": [
          {"name": "c", "type": "Conv2d", "outChannels": 3, "kernelSize": 3, "activation": "ReLU",
           "timeDistributed": \(isDistributed)}]}
        """
      return try GraphModel(
        try ModelDescription(json: Data(json.utf8), source: "x"), key: RandomKey(4), on: device)
    }
    let (wrapped, alone) = (try graph(true), try graph(false))
    let x = try Tensor.normal([2, 3, 2, 5, 4], key: RandomKey(5), on: device)
    func run(_ model: GraphModel, _ x: Tensor) throws -> (value: [Float], gradients: [[Float]]) {
      let (_, gradients) = try valueAndGradients(of: model.parameters()) {
        try model(x, $0).square().sum()
      }
      return (
        try model(x, .evaluation).contiguous().scalars(), try gradients.map { try $0.scalars() }
      )
    }
    let (a, b) = (try run(wrapped, x), try run(alone, try x.reshaped([6, 2, 5, 4])))
    #expect(a.value == b.value && a.gradients == b.gradients)
  }

  @Test func whatCannotBeDistributedIsNamed() throws {
    func refused(_ layer: String, _ shape: String, _ fragment: String) {
      let json = #"{"inputShape": \#(shape), "layers": [\#(layer)]}"#
      let error = #expect(throws: ApusError.self) {
        try GraphModel(
          try ModelDescription(json: Data(json.utf8), source: "x"), key: RandomKey(0),
          on: TestDevices.reference)
      }
      #expect(error?.description.contains(fragment) == true, "\(error?.description ?? "")")
    }
    refused(#"{"name": "a", "type": "ReLU", "timeDistributed": true}"#, "[4]", "[T, …]")
    refused(
      #"{"name": "a", "type": "Conv2d", "outChannels": 1, "kernelSize": 1, "timeDistributed": true}"#,
      "[3, 4]", "'a'")
    refused(#"{"name": "a", "type": "ReLU", "timeDistributed": 1}"#, "[4, 4]", "true or false")
    refused(#"{"name": "p", "type": "Permute", "axes": [1, 1]}"#, "[4, 4]", "once")
    refused(#"{"name": "p", "type": "Permute"}"#, "[4, 4]", "once")
  }

  @Test func permute() throws {
    let device = TestDevices.reference
    let x = try Tensor((0..<24).map { Float($0) }, shape: [1, 2, 3, 4], on: device)
    let y = try Permute(axes: [3, 1, 2])(x, .evaluation)
    #expect(y.shape == [1, 4, 2, 3])
    #expect(try y.contiguous().scalars().prefix(6) == [0, 4, 8, 12, 16, 20])
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// Residual networks: the block, the presets against networks written in PyTorch, folding.
struct ResidualTests {
  /// What PyTorch's network gave; its weights are made again by the same rule.
  struct Network: Decodable, Sendable, CustomTestStringConvertible {
    let model: String
    let shape: [Int]
    let logits: GoldenArray
    let state: [String: [Int]]
    var testDescription: String { model }

    /// Without PyTorch's counters.
    var names: [String] { state.keys.filter { !$0.hasSuffix("num_batches_tracked") }.sorted() }

    /// Values in −1…1 from the finaliser of MurmurHash3, as `make_convolutions.py` draws them.
    static func noise(_ count: Int, stream: Int) -> [Double] {
      (0..<count).map { index in
        var x = UInt32(truncatingIfNeeded: index + stream * 7919)
        x = (x ^ x >> 16) &* 0x85EB_CA6B
        x = (x ^ x >> 13) &* 0xC2B2_AE35
        x ^= x >> 16
        return Double(x >> 8) / 0x1p23 - 1
      }
    }

    func weights(on device: Device) throws -> [String: Tensor] {
      var found: [String: Tensor] = [:]
      for (index, name) in names.enumerated() {
        let shape = state[name] ?? []
        let count = shape.reduce(1, *)
        let fan = Double(count / max(shape.first ?? 1, 1))
        let values = Self.noise(count, stream: index + 1).map { draw in
          if shape.count > 1 { return draw * (3 / fan).squareRoot() }
          if name.hasSuffix("running_var") { return 1 + draw / 2 }
          return name.hasSuffix("weight") ? 1 + draw / 4 : draw / 8
        }
        found[name] = try Tensor(values.map { Float($0) }, shape: shape, on: device)
      }
      return found
    }

    func input(on device: Device) throws -> Tensor {
      try Tensor(
        Self.noise(shape.reduce(1, *), stream: 1000).map { Float($0) }, shape: shape, on: device)
    }

    func description() throws -> ModelDescription {
      try Preset.named(model).description(
        inputShape: Array(shape.dropFirst()), classCount: logits.shape[1])
    }
  }

  static func networks() throws -> [Network] { try golden("residual", in: .module) }

  /// A state dict goes through a safetensors file with PyTorch's counters and gives PyTorch's logits.
  @Test(arguments: try Self.networks(), TestDevices.all)
  func presetsComputeWhatPyTorchDoes(_ network: Network, on device: Device) throws {
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("residual-\(UUID().uuidString).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var weights = try network.weights(on: TestDevices.reference)
    for name in network.state.keys where name.hasSuffix("num_batches_tracked") {
      weights[name] = try Tensor([Int32(1)], shape: [], on: TestDevices.reference)
    }
    try Safetensors.write(weights, to: path)
    let model = try ModelFile.graph(try network.description(), weights: path, on: device)
    #expect(Set(model.state().keys) == Set(network.names))
    let x = try network.input(on: device)
    // Twenty layers deep; logits are of the order of 1.
    #expect(try distance(model(x, .evaluation), network.logits) < 2e-5)
    #expect(try distance(model.folded()(x, .evaluation), network.logits) < 2e-5)
  }

  @Test(arguments: TestDevices.all)
  func blockIsTheSumOfItsParts(on device: Device) throws {
    let keys = RandomKey(4).split(3)
    let body = Sequential([
      try Conv2d(2, 3, kernelSize: 3, stride: 2, padding: .zeros(1), key: keys[0], on: device),
      try BatchNorm2d(3, on: device), ReLU(),
      try Conv2d(3, 3, kernelSize: 3, padding: .same, key: keys[1], on: device),
      try BatchNorm2d(3, on: device),
    ])
    let shortcut = try Conv2d(2, 3, kernelSize: 1, stride: 2, key: keys[2], on: device)
    let x = try Tensor(
      Initializer.normal(mean: 0, standardDeviation: 1).values([2, 2, 6, 6], key: RandomKey(5)),
      shape: [2, 2, 6, 6], on: device)
    let block = Residual(body, shortcut: shortcut)
    #expect(
      block.namedParameters().map(\.name).contains("body.4.running_var")
        && block.namedParameters().map(\.name).contains("shortcut.weight"))
    for context in [Context.evaluation, Context(isTraining: true)] {
      let expected = try (body(x, context) + shortcut(x, context)).relu()
      #expect(try distance(block(x, context), expected) < 1e-6)
    }
    let plain = Residual(try Conv2d(2, 2, kernelSize: 1, key: keys[0], on: device), activation: nil)
    let conv = try #require(plain.body as? Conv2d)
    #expect(
      try distance(plain(x, .evaluation), conv(x, .evaluation) + x) < 1e-6)
    let dense = Residual(ReLU())
    #expect(try distance(dense(x, .evaluation), (x.relu() + x).relu()) == 0)
  }

  /// A graph with every kind of chain, among them such that must not be fused.
  private static let chains = """
    {"inputShape": [3, 6, 6], "outputs": ["head", "bn3"], "layers": [
      {"name": "conv1", "type": "Conv2d", "outChannels": 4, "kernelSize": 3, "padding": 1},
      {"name": "bn1", "type": "BatchNorm2d"},
      {"name": "relu1", "type": "ReLU"},
      {"name": "conv2", "type": "Conv2d", "outChannels": 4, "kernelSize": 3, "padding": "same", "bias": false},
      {"name": "bn2", "type": "BatchNorm2d"},
      {"name": "side", "type": "Conv2d", "outChannels": 4, "kernelSize": 1, "inputs": ["input"]},
      {"name": "sidebn", "type": "BatchNorm2d"},
      {"name": "sum", "type": "Add", "inputs": ["sidebn", "bn2"]},
      {"name": "relu2", "type": "GELU"},
      {"name": "conv3", "type": "Conv2d", "outChannels": 4, "kernelSize": 3, "padding": 1, "activation": "ReLU"},
      {"name": "bn3", "type": "BatchNorm2d"},
      {"name": "tanh3", "type": "Tanh"},
      {"name": "self", "type": "Add", "inputs": ["tanh3", "tanh3"]},
      {"name": "conv4", "type": "Conv2d", "outChannels": 4, "kernelSize": 1, "bias": false},
      {"name": "twice", "type": "Multiply", "inputs": ["conv4", "relu2"]},
      {"name": "bn4", "type": "BatchNorm2d", "inputs": ["conv4"], "affine": false},
      {"name": "three", "type": "Add", "inputs": ["bn4", "twice", "self"]},
      {"name": "pool", "type": "AdaptiveAvgPool2d", "outputSize": 1},
      {"name": "flat", "type": "Flatten"},
      {"name": "fc", "type": "Linear", "outFeatures": 5},
      {"name": "norm", "type": "BatchNorm1d"},
      {"name": "head", "type": "Linear", "outFeatures": 3},
      {"name": "unused", "type": "ReLU"}
    ]}
    """

  private static func graph(on device: Device) throws -> (GraphModel, Tensor) {
    let model = try GraphModel(
      try ModelDescription(json: Data(chains.utf8), source: "chains"), key: RandomKey(8), on: device
    )
    let shape = [4, 3, 6, 6]
    let x = try Tensor(
      Initializer.normal(mean: 0.3, standardDeviation: 1).values(shape, key: RandomKey(9)),
      shape: shape, on: device)
    // Statistics and factors that are not those of the beginning.
    for (index, entry) in model.namedParameters().enumerated()
    where entry.parameter.shape.count == 1 {
      let low: Float = entry.name.hasSuffix("running_var") ? 0.5 : -0.7
      try entry.parameter.assign(
        try Initializer.uniform(low: low, high: 1.5).tensor(
          entry.parameter.shape, key: RandomKey(UInt64(index)), on: device))
    }
    return (model, x)
  }

  @Test(arguments: TestDevices.all)
  func fusedChainsGiveTheSame(on device: Device) throws {
    for isTraining in [false, true] {
      // Each run moves the running statistics, so each has a model of its own.
      let (model, x) = try Self.graph(on: device)
      let (other, _) = try Self.graph(on: device)
      let fused = try model([x], Context(isTraining: isTraining))
      let plain = try other.observed([x], Context(isTraining: isTraining)) { $1 }
      #expect(fused.count == 2)
      for (a, b) in zip(fused, plain) { #expect(try distance(a, b) < 4e-6) }
      for (name, value) in other.state() {
        let found = try #require(model.state()[name])
        #expect(try distance(found, value) < 1e-6, "\(name)")
      }
    }
  }

  @Test(arguments: TestDevices.all)
  func fusedChainsHaveTheSameGradients(on device: Device) throws {
    func gradients(isFused: Bool) throws -> [Tensor] {
      let (model, x) = try Self.graph(on: device)
      return try valueAndGradients(of: model.parameters()) { context in
        let outputs =
          isFused ? try model([x], context) : try model.observed([x], context) { $1 }
        return try outputs.reduce(Tensor.zeros([], on: device)) { try $0 + $1.square().sum() }
      }.gradients
    }
    for (a, b) in zip(try gradients(isFused: true), try gradients(isFused: false)) {
      #expect(try distance(a, b) < 3e-5)
    }
  }

  @Test(arguments: TestDevices.all)
  func foldingKeepsTheAnswer(on device: Device) throws {
    let (model, x) = try Self.graph(on: device)
    let before = model.state().mapValues { $0 }
    let folded = try model.folded()
    let names = Set(folded.nodes.map(\.name))
    // bn3 follows an activation and is an output, bn4 shares its convolution.
    #expect(
      names.isDisjoint(with: ["bn1", "bn2", "sidebn", "norm"])
        && names.isSuperset(of: ["bn3", "bn4"]))
    let expected = try model([x], .evaluation)
    let found = try folded([x], .evaluation)
    for (a, b) in zip(found, expected) { #expect(try distance(a, b) < 4e-6) }
    // The model itself, and thus its file, is as before.
    for (name, value) in model.state() {
      #expect(try distance(value, try #require(before[name])) == 0)
    }
    #expect(model.state().keys.contains("bn1.running_mean"))
    // What has nothing to fold stays itself.
    let plain = try GraphModel(
      try Preset.named("mlp-small").description(inputShape: [4], classCount: 2), key: RandomKey(1),
      on: device)
    #expect(try plain.folded().description == plain.description)
  }
}

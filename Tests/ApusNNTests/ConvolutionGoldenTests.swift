import Apus
import Foundation
import TestSupport
import Testing

/// Layers on images against values made by PyTorch, built through their descriptions.
struct ConvolutionGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let type: String
    let attributes: [String: AttributeValue]
    let input, output, outputGradient, inputGradient: GoldenArray
    let state, stateGradients: [String: GoldenArray]
    /// A batch that training saw before `input`, the statistics after both, and what evaluation gives
    /// with these for `input`.
    let first: GoldenArray?
    let statistics: [String: GoldenArray]?
    let evaluated: GoldenArray?
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] { try golden("convolutions", in: .module) }

  private static func model(_ expected: Case, on device: Device) throws -> GraphModel {
    let description = ModelDescription(
      inputShape: Array(expected.input.shape.dropFirst()),
      layers: [
        LayerDescription(name: "layer", type: expected.type, attributes: expected.attributes)
      ])
    let model = try GraphModel(description, key: RandomKey(1), on: device)
    try model.load(
      try expected.state.reduce(into: [:]) {
        $0["layer.\($1.key)"] = try $1.value.tensor(on: device)
      })
    return model
  }

  /// Values are sums of up to 60 products, and a normalisation divides by a deviation: single rounded
  /// steps of 6e-8 add up to less than these bounds.
  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ expected: Case, on device: Device) throws {
    let model = try Self.model(expected, on: device)
    #expect(model.outputShapes == [Array(expected.output.shape.dropFirst())])
    if let first = expected.first {
      _ = try model(try first.tensor(on: device), Context(isTraining: true))
    }
    let tape = Tape()
    let context = Context(isTraining: true, tape: tape)
    let x = try tape.watch(try expected.input.tensor(on: device))
    let parameters = model.namedParameters().filter(\.parameter.isTrainable)
    let watched = try parameters.map { try context[$0.parameter] }
    let y = try model(x, context)
    #expect(try distance(y, expected.output) < 4e-6)
    let gradients = try tape.gradients(
      of: y, for: [x] + watched, seed: try expected.outputGradient.tensor(on: device))
    #expect(try distance(gradients[0], expected.inputGradient) < 1e-5)
    #expect(parameters.count == expected.stateGradients.count)
    for (parameter, gradient) in zip(parameters, gradients.dropFirst()) {
      let name = String(parameter.name.dropFirst("layer.".count))
      let wanted = try #require(expected.stateGradients[name])
      #expect(try distance(gradient, wanted) < 1e-5, "\(name)")
    }
    for (name, wanted) in expected.statistics ?? [:] {
      let found = try #require(model.state()["layer.\(name)"])
      #expect(try distance(found, wanted) < 4e-6, "\(name)")
    }
    // Evaluation: the running statistics where there are some, else the same answer.
    let evaluated = try model(x.detached, .evaluation)
    #expect(try distance(evaluated, expected.evaluated ?? expected.output) < 4e-6)
  }

  /// Layers made directly have the names, shapes and first values that descriptions give them.
  @Test func initialValuesAreThoseOfPyTorch() throws {
    let device = TestDevices.reference
    let conv = try Conv2d(
      8, 16, kernelSize: Size2D(3, 5), groups: 2, key: RandomKey(3), on: device)
    #expect(conv.namedParameters().map(\.name) == ["weight", "bias"])
    #expect(conv.weight.shape == [16, 4, 3, 5])
    #expect(conv.bias?.shape == [16])
    // Kaiming-uniform with a = √5: ±1/√(4 · 3 · 5), and nearly reached among 960 draws.
    let bound = 1 / Float(60).squareRoot()
    let largest = try conv.weight.value.abs().max().item()
    #expect(largest <= Double(bound) && largest > Double(bound) * 0.98)
    let transposed = try ConvTranspose2d(
      8, 6, kernelSize: 3, groups: 2, key: RandomKey(3), on: device)
    #expect(transposed.weight.shape == [8, 3, 3, 3])
    #expect(try transposed.weight.value.abs().max().item() <= 1 / Double(27).squareRoot())
    let norm = try BatchNorm2d(3, on: device)
    #expect(
      norm.namedParameters().map(\.name) == ["weight", "bias", "running_mean", "running_var"])
    #expect(norm.namedParameters().map(\.parameter.isTrainable) == [true, true, false, false])
    #expect(try norm.state()["running_var"]?.scalars() == [1, 1, 1])
  }

  /// PyTorch's counter may be there; anything else unknown is an error.
  @Test func batchCountersAreIgnored() throws {
    let device = TestDevices.reference
    let norm = try BatchNorm2d(2, on: device)
    var state = norm.state()
    state["num_batches_tracked"] = try Tensor([Int32(7)], shape: [], on: device)
    try norm.load(state)
    state["other.num_batches_tracked"] = state["num_batches_tracked"]
    let error = #expect(throws: ApusError.self) { try norm.load(state) }
    #expect(error?.message.contains("other.num_batches_tracked") == true)
  }

  @Test func refusesWhatCannotBe() throws {
    let device = TestDevices.reference
    let key = RandomKey(1)
    let mistakes: [(String, () throws -> Void)] = [
      (
        "groups 2 must divide",
        { _ = try Conv2d(3, 4, kernelSize: 3, groups: 2, key: key, on: device) }
      ),
      ("kernelSize", { _ = try Conv2d(3, 4, kernelSize: 0, key: key, on: device) }),
      ("stride", { _ = try Conv2d(3, 4, kernelSize: 3, stride: -1, key: key, on: device) }),
      (
        "same",
        { _ = try Conv2d(3, 4, kernelSize: 3, stride: 2, padding: .same, key: key, on: device) }
      ),
      (
        "padding",
        { _ = try Conv2d(3, 4, kernelSize: 3, padding: .zeros(-1), key: key, on: device) }
      ),
      ("outChannels", { _ = try Conv1d(3, .max, kernelSize: 3, key: key, on: device) }),
      ("dilation", { _ = try Conv1d(3, 4, kernelSize: 3, dilation: .max, key: key, on: device) }),
      (
        "too large",
        {
          _ = try Conv2d(
            1 << 20, 1 << 20, kernelSize: Size2D(1 << 20, 1 << 20), key: key, on: device)
        }
      ),
      (
        "outputPadding",
        { _ = try ConvTranspose2d(3, 4, kernelSize: 3, outputPadding: 1, key: key, on: device) }
      ),
      ("half of kernelSize", { _ = try MaxPool2d(kernelSize: 2, padding: 2) }),
      ("channels", { _ = try BatchNorm2d(0, on: device) }),
      ("momentum", { _ = try BatchNorm2d(2, momentum: 1.5, on: device) }),
      ("divide", { _ = try GroupNorm(3, 4, on: device) }),
      ("corners", { _ = try Upsample(.size(4), alignsCorners: true) }),
      ("scale", { _ = try Upsample(.scale(height: .nan, width: 1)) }),
      ("stride", { _ = try Shortcut(outChannels: 4, stride: 0) }),
      (
        "BatchNorm2d",
        { _ = try BatchNorm2d(2, on: device)(.ones([3, 2], on: device), .evaluation) }
      ),
      (
        "conv2d",
        {
          _ = try Conv2d(3, 4, kernelSize: 3, key: key, on: device)(
            .ones([1, 2, 5, 5], on: device), .evaluation)
        }
      ),
      (
        "more than outChannels",
        { _ = try Shortcut(outChannels: 1)(.ones([1, 2, 5, 5], on: device), .evaluation) }
      ),
    ]
    for (part, mistake) in mistakes {
      let error = #expect(throws: ApusError.self, "\(part)") { try mistake() }
      #expect(
        error?.description.contains(part) == true, "\(error.map(String.init(describing:)) ?? part)")
    }
  }
}

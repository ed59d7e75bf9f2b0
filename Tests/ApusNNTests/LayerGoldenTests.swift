import Apus
import Foundation
import TestSupport
import Testing

/// Every layer against values made by PyTorch, built through its description.
struct LayerGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let type: String
    let attributes: [String: AttributeValue]
    let input, output, outputGradient, inputGradient: GoldenArray
    let state, stateGradients: [String: GoldenArray]
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] { try golden("layers", in: .module) }

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ expected: Case, on device: Device) throws {
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
    let tape = Tape()
    let context = Context(isTraining: true, key: RandomKey(2), tape: tape)
    let x = try tape.watch(try expected.input.tensor(on: device))
    let parameters = model.namedParameters()
    let watched = try parameters.map { try context[$0.parameter] }
    let y = try model(x, context)
    #expect(try distance(y, expected.output) < 2e-6)
    let gradients = try tape.gradients(
      of: y, for: [x] + watched, seed: try expected.outputGradient.tensor(on: device))
    #expect(try distance(gradients[0], expected.inputGradient) < 5e-6)
    #expect(parameters.count == expected.stateGradients.count)
    for (parameter, gradient) in zip(parameters, gradients.dropFirst()) {
      let name = String(parameter.name.dropFirst("layer.".count))
      let wanted = try #require(expected.stateGradients[name])
      #expect(try distance(gradient, wanted) < 5e-6, "\(name)")
    }
    // Without a tape fused activations are used; the answer is the same.
    #expect(try distance(try model(x.detached, .evaluation), expected.output) < 2e-6)
  }
}

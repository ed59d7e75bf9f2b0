import Apus
import Foundation
import TestSupport
import Testing

struct DescriptionTests {
  private let device = TestDevices.reference

  private func model(_ json: String) throws -> GraphModel {
    try GraphModel(
      try ModelDescription(json: Data(json.utf8), source: "model.json"), key: RandomKey(1),
      on: device)
  }

  @Test func buildsAnyGraph() throws {
    let graph = try model(
      """
      {"inputShapes": {"a": [4], "b": [2, 3]}, "classCount": 3, "outputs": ["head", "joined"],
       "layers": [
        {"name": "flat", "type": "Flatten", "inputs": ["b"]},
        {"name": "joined", "type": "Concatenate", "inputs": ["a", "flat"]},
        {"name": "fc1", "type": "Linear", "outFeatures": 10, "activation": "Tanh"},
        {"name": "sum", "type": "Add", "inputs": ["fc1", "joined"]},
        {"name": "norm", "type": "LayerNorm"},
        {"name": "gate", "type": "Sigmoid", "inputs": ["fc1"]},
        {"name": "gated", "type": "Multiply", "inputs": ["gate", "norm"]},
        {"name": "head", "type": "Linear", "outFeatures": "classCount", "initializer": "orthogonal"}
       ]}
      """)
    #expect(graph.inputs.map(\.name) == ["a", "b"])
    #expect(graph.outputShapes == [[3], [10]])
    #expect(graph.state().keys.contains("norm.weight"))
    let outputs = try graph(
      [try Tensor.ones([5, 4], on: device), try Tensor.ones([5, 2, 3], on: device)], .evaluation)
    #expect(outputs.map(\.shape) == [[5, 3], [5, 10]])
    let again = try ModelDescription(
      json: Data(try graph.description.json().utf8), source: "again")
    #expect(again == graph.description)
  }

  @Test(arguments: [
    (#"{"layers": []}"#, "inputShape"),
    (#"{"inputShape": [4], "layers": []}"#, "no layers"),
    (#"{"inputShape": [4], "layers": [{"name": "a", "type": "Linear"}]}"#, "outFeatures"),
    (#"{"inputShape": [4], "layers": [{"name": "a", "type": "Magic"}]}"#, "unknown type"),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "ReLU", "slope": 1}]}"#, "'slope'"
    ),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "ReLU", "inputs": ["z"]}]}"#, "'z'"
    ),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "ReLU"}, {"name": "a", "type": "ReLU"}]}"#,
      "taken"
    ),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "Linear", "outFeatures": 1e300}]}"#,
      "outFeatures"
    ),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "Linear", "outFeatures": -3}]}"#,
      "positive"
    ),
    (#"{"inputShape": [-4], "layers": [{"name": "a", "type": "ReLU"}]}"#, "positive"),
    (#"{"inputShape": [4], "layers": [{"type": "ReLU"}]}"#, "'name'"),
    (#"{"inputShape": [4], "#, "JSON"),
    (#"{"format": "other", "inputShape": [4], "layers": []}"#, "other"),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "Linear", "outFeatures": "classCount"}]}"#,
      "classes"
    ),
  ])
  func namesTheMistake(_ json: String, _ part: String) throws {
    let error = #expect(throws: ApusError.self) { try model(json) }
    #expect(
      error?.description.contains(part) == true, "\(error.map(String.init(describing:)) ?? "")")
  }

  @Test func presetsTakeShapesFromTheData() throws {
    for preset in Preset.all {
      let description = preset.description(inputShape: [2, 5], classCount: 7)
      let graph = try GraphModel(description, key: RandomKey(1), on: device)
      #expect(graph.outputShapes == [[7]])
      #expect(try graph(try Tensor.ones([3, 2, 5], on: device), .evaluation).shape == [3, 7])
    }
    #expect(throws: ApusError.self) { try Preset.named("transformer") }
  }

  @Test func resolvedAgreesWithTheData() throws {
    let description = ModelDescription(
      inputShape: [4], classCount: 3, layers: [LayerDescription(name: "a", type: "ReLU")])
    #expect(throws: ApusError.self) { try description.resolved(inputShape: [5], classCount: 3) }
    #expect(throws: ApusError.self) { try description.resolved(inputShape: [4], classCount: 2) }
    #expect(try description.resolved(inputShape: [4], classCount: 3) == description)
  }
}

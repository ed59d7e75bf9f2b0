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
    (
      #"{"inputShape": [1.5], "layers": []}"#,
      "'inputShape' of the model description must be a list"
    ),
    (#"{"inputShape": [4], "layers": [], "class_count": 3}"#, "does not know 'class_count'"),
    (#"{"inputShape": [4], "layers": [], "class_count": 3}"#, "classCount, format"),
    (#"{"version": 2, "later": 1, "layers": []}"#, "version 2"),
    (
      #"{"inputShape": [4], "layers": [{"name": "a", "type": "ReLU", "slope": {"b": 1}}]}"#,
      "layer 'a' (ReLU): 'slope' must be"
    ),
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

  /// Small images, large ones, color or not; other data only where the model flattens.
  private static let imagePresets = Preset.all.map(\.name).filter {
    !["text-gru", "char-lstm", "forecast-gru"].contains($0)
  }

  @Test(arguments: imagePresets, [[1, 8, 8], [1, 28, 28], [3, 32, 32], [3, 17, 9]])
  func presetsTakeShapesFromTheData(_ name: String, _ shape: [Int]) throws {
    let description = try Preset.named(name).description(inputShape: shape, classCount: 7)
    let graph = try GraphModel(description, key: RandomKey(1), on: device)
    #expect(graph.outputShapes == [[7]])
    let again = try ModelDescription(
      json: Data(try graph.description.json().utf8), source: "again")
    #expect(again == graph.description)
    guard name != "resnet18" || shape[1] < 28 else { return }  // Minutes on the naive device.
    #expect(try graph(try Tensor.ones([2] + shape, on: device), .evaluation).shape == [2, 7])
  }

  @Test func presetsSayWhatTheyNeed() throws {
    for preset in Preset.all {
      var description = preset.description(inputShape: [2, 5], classCount: 7)
      if description.takesTokens {
        #expect(throws: ApusError.self) {
          try GraphModel(description, key: RandomKey(1), on: device)
        }
        (description.inputShape, description.vocabularySize) = ([6], 9)
        #expect(
          try GraphModel(description, key: RandomKey(1), on: device).outputShapes
            == [description.isLanguageModel ? [6, 9] : [7]])
      } else if description.layers.contains(where: { $0.type == "Conv2d" }) {
        let error = #expect(throws: ApusError.self) {
          try GraphModel(description, key: RandomKey(1), on: device)
        }
        #expect(error?.description.contains("[channels, height, width]") == true)
      } else {
        #expect(
          try GraphModel(description, key: RandomKey(1), on: device).outputShapes == [[7]])
      }
    }
    #expect(throws: ApusError.self) { try Preset.named("transformer") }
  }

  /// Names and sizes as published.
  @Test func presetsHaveTheirPublishedSizes() throws {
    func count(_ name: String, _ shape: [Int], _ classes: Int) throws -> Int {
      let graph = try GraphModel(
        try Preset.named(name).description(inputShape: shape, classCount: classes),
        key: RandomKey(1), on: device)
      return graph.parameters().filter(\.isTrainable).reduce(0) { $0 + $1.count }
    }
    // He et al. 2016 give 0.27 M for ResNet-20, torchvision 11 689 512 for resnet18.
    #expect(try count("resnet20", [3, 32, 32], 10) == 269_722)
    #expect(try count("resnet18", [3, 224, 224], 1000) == 11_689_512)
    #expect(try count("lenet", [1, 28, 28], 10) == 61_706)
  }

  @Test(arguments: [
    (#""type": "Conv2d", "kernelSize": 3"#, "outChannels"),
    (#""type": "Conv2d", "outChannels": 4"#, "kernelSize"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 9"#, "needs 9"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": [3, 3, 3]"#, "[height, width]"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": -3"#, "kernelSize"),
    (
      #""type": "Conv2d", "outChannels": 4, "kernelSize": [3.5, 3]"#,
      "'kernelSize' must be a whole number or [height, width], not [3.5, 3.0]"
    ),
    (#""type": "LayerNorm", "normalizedShape": [6, 6.5]"#, "whole numbers, not [6.0, 6.5]"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 1e18"#, "kernelSize"),
    (#""type": "Conv2d", "outChannels": 1e9, "kernelSize": 3"#, "outChannels"),
    (
      #""type": "Conv2d", "outChannels": 1e6, "kernelSize": [1e3, 1e3], "padding": 1e3"#,
      "too large"
    ),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "padding": 1e6"#, "too large"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "groups": 2"#, "groups 2"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "inChannels": 2"#, "inChannels is 2"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "padding": "half""#, "half"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "paddingMode": "mirror""#, "mirror"),
    (#""type": "Conv2d", "outChannels": 4, "kernelSize": 3, "activation": "Relu""#, "Relu"),
    (#""type": "Conv1d", "outChannels": 4, "kernelSize": 3"#, "[channels, length]"),
    (
      #""type": "ConvTranspose2d", "outChannels": 4, "kernelSize": 3, "stride": 1e6, "padding": 0"#,
      "too large"
    ),
    (#""type": "ConvTranspose2d", "outChannels": 4, "kernelSize": 1, "padding": 4"#, "no result"),
    (#""type": "MaxPool2d", "kernelSize": 2, "padding": 2"#, "half"),
    (#""type": "MaxPool2d", "kernelSize": 2, "size": 2"#, "'size'"),
    (#""type": "AvgPool2d", "kernelSize": 7"#, "needs 7"),
    (#""type": "AvgPool2d", "kernelSize": 9, "padding": 1"#, "is 6, its padding adds 2"),
    (
      #""type": "MaxPool2d", "kernelSize": 8, "stride": 2, "ceilMode": true"#,
      "needs 8 and may hang 1 over"
    ),
    (#""type": "AdaptiveAvgPool2d", "outputSize": 0"#, "outputSize"),
    (#""type": "BatchNorm2d", "numFeatures": 4"#, "numFeatures is 4"),
    (#""type": "BatchNorm1d""#, "BatchNorm1d"),
    (#""type": "GroupNorm", "numGroups": 2"#, "groups 2"),
    (#""type": "GroupNorm", "numGroups": 0"#, "groups 0"),
    (#""type": "Upsample""#, "scaleFactor"),
    (
      #""type": "Upsample", "scaleFactor": [1.5, 2]"#,
      "'scaleFactor' must be a number, not [1.5, 2.0]"
    ),
    (#""type": "Upsample", "size": 4, "mode": "cubic""#, "cubic"),
    (#""type": "Upsample", "scaleFactor": 1e9"#, "scale"),
    (#""type": "Shortcut", "outChannels": 2"#, "more than"),
  ])
  func namesTheMistakeInLayersOnImages(_ attributes: String, _ part: String) throws {
    let error = #expect(throws: ApusError.self) {
      try model(
        #"{"inputShape": [3, 6, 6], "layers": [{"name": "here", "# + attributes + "}]}")
    }
    #expect(
      error?.description.contains(part) == true && error?.description.contains("here") == true,
      "\(error.map(String.init(describing:)) ?? "")")
  }

  /// The list of known attributes is what the layer reads, also what is read only where it is given.
  @Test(arguments: [
    (
      "LSTM", #""hiddenSize": 2"#, "[4, 3]",
      "bias, bidirectional, dropout, forgetBias, hiddenSize, numLayers, output, recurrentInitializer, "
        + "timeDistributed"
    ),
    (
      "GRU", #""hiddenSize": 2"#, "[4, 3]",
      "bias, bidirectional, dropout, hiddenSize, numLayers, output, recurrentInitializer, "
        + "timeDistributed"
    ),
    (
      "Upsample", #""size": 4"#, "[3, 2, 2]",
      "alignsCorners, mode, scaleFactor, size, timeDistributed"
    ),
    (
      "Upsample", #""scaleFactor": 2"#, "[3, 2, 2]",
      "alignsCorners, mode, scaleFactor, size, timeDistributed"
    ),
    (
      "MaxPool2d", #""kernelSize": 2"#, "[3, 4, 4]",
      "ceilMode, dilation, kernelSize, padding, stride, timeDistributed"
    ),
    (
      "Conv2d", #""kernelSize": 2, "outChannels": 2, "padding": "same""#, "[3, 4, 4]",
      "activation, bias, dilation, groups, inChannels, initializer, kernelSize, outChannels, padding, "
        + "paddingMode, stride, timeDistributed"
    ),
  ])
  func listsWhatLayersRead(
    _ type: String, _ attributes: String, _ shape: String, _ known: String
  ) throws {
    let error = #expect(throws: ApusError.self) {
      try model(
        "{\"inputShape\": \(shape), \"layers\": [{\"name\": \"here\", \"type\": \"\(type)\", "
          + "\(attributes), \"colour\": 1}]}")
    }
    #expect(
      error?.description.hasSuffix("does not know 'colour'; it knows \(known)") == true,
      "\(error.map(String.init(describing:)) ?? "")")
  }

  @Test func differencesAreNamed() throws {
    let old = ModelDescription(
      inputShape: [4],
      layers: [
        LayerDescription(name: "a", type: "Linear", attributes: ["outFeatures": 3, "bias": false]),
        LayerDescription(name: "b", type: "ReLU"),
      ])
    #expect(old.firstDifference(from: old) == nil)
    func difference(_ change: (inout ModelDescription) -> Void) -> String {
      var new = old
      change(&new)
      return old.firstDifference(from: new) ?? ""
    }
    #expect(
      difference { $0.layers[0].attributes["outFeatures"] = 5 }
        == "outFeatures of layer 'a' (Linear) was 3, is 5")
    #expect(
      difference { $0.layers[0].attributes["bias"] = nil }
        == "bias of layer 'a' (Linear) was false, is not given")
    #expect(
      difference { $0.layers[1].type = "Tanh" } == "layer 2 was 'b' (ReLU), is 'b' (Tanh)")
    #expect(difference { $0.layers.removeLast() }.hasPrefix("there were 2 layers, are 1: 'b'"))
    #expect(difference { $0.layers[1].inputs = ["input"] }.contains("was the layer before it"))
    #expect(difference { $0.classCount = 2 } == "classCount was not given, is 2")
  }

  /// Extents by PyTorch's rule: the last window starts in the input or in the padding before it.
  @Test(arguments: [
    (#""type": "MaxPool2d", "kernelSize": 3, "stride": 2"#, [1, 2, 2], [1, 1, 1]),
    (#""type": "AvgPool2d", "kernelSize": 2, "stride": 4"#, [1, 1, 6], [1, 1, 2]),
    (
      #""type": "MaxPool2d", "kernelSize": [1, 4], "stride": 4, "padding": [0, 1], "dilation": [1, 2]"#,
      [2, 4, 3], [2, 1, 1]
    ),
    (#""type": "MaxPool1d", "kernelSize": 3, "stride": 2"#, [2, 2], [2, 1]),
  ])
  func poolsHangOverTheEnd(_ attributes: String, _ input: [Int], _ output: [Int]) throws {
    let graph = try model(
      #"{"inputShape": \#(input), "layers": [{"name": "a", \#(attributes), "ceilMode": true}]}"#)
    #expect(graph.outputShapes == [output])
    let x = try Tensor.ones([2] + input, on: device)
    #expect(try graph([x], .evaluation)[0].shape == [2] + output)
  }

  @Test func resolvedAgreesWithTheData() throws {
    let description = ModelDescription(
      inputShape: [4], classCount: 3, layers: [LayerDescription(name: "a", type: "ReLU")])
    #expect(throws: ApusError.self) { try description.resolved(inputShape: [5], classCount: 3) }
    #expect(throws: ApusError.self) { try description.resolved(inputShape: [4], classCount: 2) }
    #expect(try description.resolved(inputShape: [4], classCount: 3) == description)
  }
}

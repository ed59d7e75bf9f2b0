/// Models for images `[channels, height, width]`; convolutions before a batch normalisation have no
/// bias.
extension Preset {
  static let lenet = Preset(
    name: "lenet",
    summary: "LeNet-5 with ReLU and max pooling, for images from 4x4 (28x28 as published)"
  ) { shape, classes in
    var graph = ImageGraph()
    // On small images the second convolution keeps the size, or nothing would be left.
    let isSmall = (shape.dropFirst().min() ?? 0) < 14
    graph.add("conv1", "Conv2d", convolution(6, kernel: 5, padding: 2, activation: "ReLU"))
    graph.add("pool1", "MaxPool2d", ["kernelSize": 2])
    graph.add(
      "conv2", "Conv2d", convolution(16, kernel: 5, padding: isSmall ? 2 : 0, activation: "ReLU"))
    graph.add("pool2", "MaxPool2d", ["kernelSize": 2])
    graph.add("flatten", "Flatten")
    graph.add("fc1", "Linear", ["outFeatures": 120, "activation": "ReLU"])
    graph.add("fc2", "Linear", ["outFeatures": 84, "activation": "ReLU"])
    graph.add("fc3", "Linear", ["outFeatures": .number(Double(classes))])
    return graph.layers
  }

  static let cnnSmall = Preset(
    name: "cnn-small",
    summary:
      "two stages of two 3x3 convolutions (32, 64) with batch norm, then dropout and a dense layer"
  ) { _, classes in
    var graph = ImageGraph()
    for (index, width) in [32, 32, 64, 64].enumerated() {
      graph.convolve("\(index + 1)", width)
      if index % 2 == 1 { graph.add("pool\(index / 2 + 1)", "MaxPool2d", ["kernelSize": 2]) }
    }
    graph.add("flatten", "Flatten")
    graph.add("drop", "Dropout", ["probability": 0.4])
    graph.add("fc", "Linear", ["outFeatures": .number(Double(classes))])
    return graph.layers
  }

  static let resnet20 = Preset(
    name: "resnet20",
    summary:
      "residual network of 20 layers for small images (He et al. 2016), shortcuts without parameters"
  ) { _, classes in
    var graph = ImageGraph()
    graph.convolve("1", 16)
    for (stage, width) in [16, 32, 64].enumerated() {
      for block in 0..<3 {
        let stride = stage > 0 && block == 0 ? 2 : 1
        graph.addBlock("layer\(stage + 1).\(block)", width, stride: stride) { graph, input in
          guard stride > 1 else { return input }
          return graph.add(
            "layer\(stage + 1).\(block).shortcut", "Shortcut",
            ["outChannels": .number(Double(width)), "stride": 2], input: input)
        }
      }
    }
    graph.add("avgpool", "AdaptiveAvgPool2d", ["outputSize": 1])
    graph.add("flatten", "Flatten")
    graph.add("linear", "Linear", ["outFeatures": .number(Double(classes))])
    return graph.layers
  }

  static let resnet18 = Preset(
    name: "resnet18",
    summary:
      "residual network of 18 layers with names and structure of torchvision's, for images from 32x32"
  ) { _, classes in
    var graph = ImageGraph()
    graph.add("conv1", "Conv2d", convolution(64, kernel: 7, stride: 2, padding: 3, bias: false))
    graph.add("bn1", "BatchNorm2d")
    graph.add("relu", "ReLU")
    graph.add("maxpool", "MaxPool2d", ["kernelSize": 3, "stride": 2, "padding": 1])
    for (stage, width) in [64, 128, 256, 512].enumerated() {
      for block in 0..<2 {
        let name = "layer\(stage + 1).\(block)"
        let stride = stage > 0 && block == 0 ? 2 : 1
        graph.addBlock(name, width, stride: stride) { graph, input in
          guard stride > 1 else { return input }
          graph.add(
            name + ".downsample.0", "Conv2d",
            convolution(width, kernel: 1, stride: 2, padding: 0, bias: false), input: input)
          return graph.add(name + ".downsample.1", "BatchNorm2d")
        }
      }
    }
    graph.add("avgpool", "AdaptiveAvgPool2d", ["outputSize": 1])
    graph.add("flatten", "Flatten")
    graph.add("fc", "Linear", ["outFeatures": .number(Double(classes))])
    return graph.layers
  }

  static let mobilenetSmall = Preset(
    name: "mobilenet-small",
    summary: "six depthwise separable convolutions (Howard et al. 2017), for images of any size"
  ) { shape, classes in
    var graph = ImageGraph()
    // The published network halves at once; small images would vanish.
    let isLarge = (shape.dropFirst().min() ?? 0) >= 64
    graph.convolve("1", 16, stride: isLarge ? 2 : 1)
    var channels = 16
    for (index, (width, stride)) in [(32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2)]
      .enumerated()
    {
      graph.convolve("dw\(index + 1)", channels, stride: stride, groups: channels)
      graph.convolve("pw\(index + 1)", width, kernel: 1)
      channels = width
    }
    graph.add("avgpool", "AdaptiveAvgPool2d", ["outputSize": 1])
    graph.add("flatten", "Flatten")
    graph.add("fc", "Linear", ["outFeatures": .number(Double(classes))])
    return graph.layers
  }

  fileprivate static func convolution(
    _ outChannels: Int, kernel: Int, stride: Int = 1, padding: Int, groups: Int = 1,
    bias: Bool = true, activation: String? = nil
  ) -> [String: AttributeValue] {
    var attributes: [String: AttributeValue] = [
      "outChannels": .number(Double(outChannels)), "kernelSize": .number(Double(kernel)),
      "padding": .number(Double(padding)), "initializer": "kaimingNormal",
    ]
    if stride != 1 { attributes["stride"] = .number(Double(stride)) }
    if groups != 1 { attributes["groups"] = .number(Double(groups)) }
    if !bias { attributes["bias"] = false }
    if let activation { attributes["activation"] = .text(activation) }
    return attributes
  }
}

/// Layers as they are added.
private struct ImageGraph {
  private(set) var layers: [LayerDescription] = []

  /// - Parameter input: The layer before for nil.
  /// - Returns: The name.
  @discardableResult
  mutating func add(
    _ name: String, _ type: String, _ attributes: [String: AttributeValue] = [:],
    input: String? = nil
  ) -> String {
    layers.append(
      LayerDescription(
        name: name, type: type, inputs: input.map { [$0] }, attributes: attributes))
    return name
  }

  /// `convN`, `bnN`, `reluN`: a convolution that keeps the size (but for the stride), batch norm, ReLU.
  mutating func convolve(
    _ suffix: String, _ width: Int, kernel: Int = 3, stride: Int = 1, groups: Int = 1
  ) {
    add(
      "conv" + suffix, "Conv2d",
      Preset.convolution(
        width, kernel: kernel, stride: stride, padding: kernel / 2, groups: groups, bias: false))
    add("bn" + suffix, "BatchNorm2d")
    add("relu" + suffix, "ReLU")
  }

  /// The basic block of He et al. 2016 after the last layer.
  /// - Parameter shortcut: Adds the layers of the shortcut from the layer of a name, and names its end.
  mutating func addBlock(
    _ name: String, _ width: Int, stride: Int,
    shortcut: (inout ImageGraph, String) -> String
  ) {
    let input = layers[layers.count - 1].name
    add(
      name + ".conv1", "Conv2d",
      Preset.convolution(width, kernel: 3, stride: stride, padding: 1, bias: false))
    add(name + ".bn1", "BatchNorm2d")
    add(name + ".relu1", "ReLU")
    add(name + ".conv2", "Conv2d", Preset.convolution(width, kernel: 3, padding: 1, bias: false))
    let body = add(name + ".bn2", "BatchNorm2d")
    let other = shortcut(&self, input)
    layers.append(LayerDescription(name: name + ".add", type: "Add", inputs: [body, other]))
    add(name + ".relu2", "ReLU")
  }
}

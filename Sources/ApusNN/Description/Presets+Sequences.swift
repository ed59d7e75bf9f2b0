/// Models for what comes in steps: frames of a recording, rows of a time series.
extension Preset {
  static let speechCRNN = Preset(
    name: "speech-crnn",
    summary:
      "two 3x3 convolutions with pooling over a spectrogram [1, bands, frames], then a GRU over frames"
  ) { shape, classes in
    var layers: [LayerDescription] = []
    func add(_ name: String, _ type: String, _ attributes: [String: AttributeValue] = [:]) {
      layers.append(LayerDescription(name: name, type: type, attributes: attributes))
    }
    for (index, width) in [16, 32].enumerated() {
      add(
        "conv\(index + 1)", "Conv2d",
        [
          "outChannels": .number(Double(width)), "kernelSize": 3, "padding": 1, "bias": false,
          "initializer": "kaimingNormal",
        ])
      add("bn\(index + 1)", "BatchNorm2d")
      add("relu\(index + 1)", "ReLU")
      add("pool\(index + 1)", "MaxPool2d", ["kernelSize": 2])
    }
    // [channels, bands, frames] becomes [frames, channels · bands]: what a step of the GRU sees.
    add("frames", "Permute", ["axes": [3, 1, 2]])
    add("features", "Flatten", ["startAxis": 2])
    add("drop1", "Dropout", ["probability": 0.3])
    add(
      "gru", "GRU",
      ["hiddenSize": 64, "bidirectional": true, "recurrentInitializer": "orthogonal"])
    add("pool", "AttentionPooling", ["attentionSize": 64])
    add("drop2", "Dropout", ["probability": 0.3])
    add("fc", "Linear", ["outFeatures": .number(Double(classes))])
    return layers
  }

  static let forecastGRU = Preset(
    name: "forecast-gru",
    summary:
      "a GRU of 64 over the steps of a series, and a linear forecast beside it that it corrects"
  ) { shape, outputs in
    let width = AttributeValue.number(Double(outputs))
    // Steps of more than one axis become rows.
    let rows = [
      LayerDescription(name: "rows", type: "Flatten", attributes: ["startAxis": 2])
    ]
    return (shape.count > 2 ? rows : []) + [
      // The linear way keeps the level of the series, which a recurrent state squashes (Lai et al. 2018).
      LayerDescription(name: "steps", type: "Flatten"),
      LayerDescription(name: "linear", type: "Linear", attributes: ["outFeatures": width]),
      LayerDescription(
        name: "gru", type: "GRU", inputs: [shape.count > 2 ? "rows" : "input"],
        attributes: ["hiddenSize": 64, "output": "last", "recurrentInitializer": "orthogonal"]),
      LayerDescription(name: "drop", type: "Dropout", attributes: ["probability": 0.1]),
      LayerDescription(name: "head", type: "Linear", attributes: ["outFeatures": width]),
      LayerDescription(name: "forecast", type: "Add", inputs: ["linear", "head"]),
    ]
  }
}

import ApusDevice

/// Descriptions of models by name; each takes input shape and class count from the data.
public struct Preset: Sendable {
  public let name: String
  public let summary: String
  /// Whether it takes rows of any number of steps.
  var variableLength = false
  let make: @Sendable (_ inputShape: [Int], _ classCount: Int) -> [LayerDescription]

  /// The description for data of that shape.
  public func description(inputShape: [Int], classCount: Int) -> ModelDescription {
    var description = ModelDescription(
      name: name, inputShape: inputShape, classCount: classCount,
      layers: make(inputShape, classCount))
    if variableLength { description.variableLength = true }
    return description
  }

  /// All presets, by name.
  public static let all: [Preset] = [
    linear, mlp, mlpSmall, lenet, cnnSmall, resnet20, resnet18, mobilenetSmall, speechCRNN,
    forecastGRU, textGRU, charLSTM,
  ]

  /// - Throws: ``ApusError`` that lists the names there are.
  public static func named(_ name: String) throws -> Preset {
    guard let preset = all.first(where: { $0.name == name }) else {
      throw ApusError(
        .value, operation: "model",
        "'\(name)' is no preset and no file; presets are \(all.map(\.name).joined(separator: ", "))"
      )
    }
    return preset
  }

  private static let linear = Preset(
    name: "linear", summary: "one linear layer: multinomial logistic regression"
  ) { perceptron([], $0, $1) }

  private static let mlp = Preset(
    name: "mlp", summary: "two hidden layers of 512 with ReLU and dropout 0.2"
  ) { perceptron([512, 512], dropout: 0.2, $0, $1) }

  private static let mlpSmall = Preset(
    name: "mlp-small", summary: "one hidden layer of 64 with ReLU"
  ) { perceptron([64], $0, $1) }

  private static func perceptron(
    _ widths: [Int], dropout: Double = 0, _ inputShape: [Int], _ classCount: Int
  ) -> [LayerDescription] {
    var layers: [LayerDescription] = []
    if inputShape.count != 1 { layers.append(LayerDescription(name: "flatten", type: "Flatten")) }
    for (index, width) in widths.enumerated() {
      layers.append(
        LayerDescription(
          name: "fc\(index + 1)", type: "Linear",
          attributes: ["outFeatures": .number(Double(width)), "activation": "ReLU"]))
      if dropout > 0 {
        layers.append(
          LayerDescription(
            name: "drop\(index + 1)", type: "Dropout",
            attributes: ["probability": .number(dropout)]))
      }
    }
    layers.append(
      LayerDescription(
        name: "fc\(widths.count + 1)", type: "Linear",
        attributes: ["outFeatures": .number(Double(classCount))]))
    return layers
  }
}

import ApusDevice

extension Preset {
  static let textGRU = Preset(
    name: "text-gru",
    summary: "texts: embedding 128, bidirectional GRU of 128, attention pooling, dropout 0.3",
    variableLength: true
  ) { _, classCount in
    [
      LayerDescription(
        name: "embedding", type: "Embedding",
        attributes: ["count": "vocabularySize", "size": 128, "paddingIndex": 0]),
      LayerDescription(name: "drop1", type: "Dropout", attributes: ["probability": 0.3]),
      LayerDescription(
        name: "gru", type: "GRU", attributes: ["hiddenSize": 128, "bidirectional": true]),
      LayerDescription(name: "pool", type: "AttentionPooling"),
      LayerDescription(name: "drop2", type: "Dropout", attributes: ["probability": 0.3]),
      LayerDescription(
        name: "head", type: "Linear", attributes: ["outFeatures": .number(Double(classCount))]),
    ]
  }

  static let charLSTM = Preset(
    name: "char-lstm",
    summary: "language model: embedding 64, two LSTM layers of 256, dropout 0.2",
    variableLength: true
  ) { _, _ in
    [
      LayerDescription(
        name: "embedding", type: "Embedding", attributes: ["count": "vocabularySize", "size": 64]),
      LayerDescription(
        name: "lstm", type: "LSTM",
        attributes: ["hiddenSize": 256, "numLayers": 2, "dropout": 0.2]),
      LayerDescription(name: "drop", type: "Dropout", attributes: ["probability": 0.2]),
      LayerDescription(
        name: "head", type: "Linear", attributes: ["outFeatures": "vocabularySize"]),
    ]
  }
}

/// Sizes of a described model with recurrent layers that differ from what it says.
public struct RecurrentSizes: Sendable, Hashable {
  public var embeddingSize: Int?
  public var hiddenSize: Int?
  public var numLayers: Int?
  /// Between recurrent layers, and of layers `Dropout`.
  public var dropout: Double?

  public init(
    embeddingSize: Int? = nil, hiddenSize: Int? = nil, numLayers: Int? = nil,
    dropout: Double? = nil
  ) {
    self.embeddingSize = embeddingSize
    self.hiddenSize = hiddenSize
    self.numLayers = numLayers
    self.dropout = dropout
  }
}

extension ModelDescription {
  /// The same model with other sizes.
  /// - Throws: ``ApusError`` where no layer has such a size.
  public func with(_ sizes: RecurrentSizes) throws -> ModelDescription {
    var result = self
    func set(_ value: Double?, _ what: String, _ places: [(types: [String], key: String)]) throws {
      guard let value else { return }
      var isFound = false
      for index in result.layers.indices {
        for place in places where place.types.contains(result.layers[index].type) {
          result.layers[index].attributes[place.key] = .number(value)
          isFound = true
        }
      }
      guard isFound else {
        throw ApusError(
          .value, operation: name ?? "model", "has no layer with \(what), so it cannot be changed")
      }
    }
    let recurrent = ["RNN", "LSTM", "GRU"]
    try set(sizes.embeddingSize.map(Double.init), "an embedding size", [(["Embedding"], "size")])
    try set(sizes.hiddenSize.map(Double.init), "a hidden size", [(recurrent, "hiddenSize")])
    try set(sizes.numLayers.map(Double.init), "recurrent layers", [(recurrent, "numLayers")])
    try set(sizes.dropout, "dropout", [(["Dropout"], "probability"), (recurrent, "dropout")])
    return result
  }
}

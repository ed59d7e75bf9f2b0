import ApusDevice
import Foundation

/// A model as data: a graph of named layers, kept as JSON.
///
/// ```json
/// {
///   "format": "apus-model", "version": 1,
///   "inputShape": [1, 28, 28], "classCount": 10,
///   "layers": [
///     {"name": "flatten", "type": "Flatten"},
///     {"name": "fc1", "type": "Linear", "outFeatures": 128, "activation": "ReLU"},
///     {"name": "skip", "type": "Add", "inputs": ["fc1", "flatten"]},
///     {"name": "fc2", "type": "Linear", "outFeatures": "classCount"}
///   ],
///   "outputs": ["fc2"]
/// }
/// ```
/// A layer without `inputs` takes the layer before it, the first one `"input"`. Without `outputs` the
/// last layer is the output. `inputShape` and `classCount` may be left out where the data tells.
/// Models of several inputs name them in `inputShapes`: `{"left": [4], "right": [8]}`.
///
/// With `"variableLength": true` the first axis of an example counts steps, of which every row of a batch
/// may have another number: `inputShape` says the most there are. Models of tokens take `[T]` and write
/// `"vocabularySize"` for the size that the tokenizer gives.
public struct ModelDescription: Sendable, Hashable, Codable {
  public var format = "apus-model"
  public var version = 1
  /// A name for people, such as that of the preset.
  public var name: String?
  /// Without the batch axis.
  public var inputShape: [Int]?
  public var inputShapes: [String: [Int]]?
  public var classCount: Int?
  /// Whether rows of a batch may have different numbers of steps, the first axis of an example.
  public var variableLength: Bool?
  /// The number of different tokens.
  public var vocabularySize: Int?
  public var layers: [LayerDescription]
  public var outputs: [String]?

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case format, version, name, inputShape, inputShapes, classCount, variableLength, vocabularySize
    case layers, outputs
  }

  public init(
    name: String? = nil, inputShape: [Int]? = nil, classCount: Int? = nil,
    layers: [LayerDescription], outputs: [String]? = nil
  ) {
    self.name = name
    self.inputShape = inputShape
    self.classCount = classCount
    self.layers = layers
    self.outputs = outputs
  }

  /// Reads JSON.
  /// - Parameter source: A file name for messages.
  /// - Throws: ``ApusError`` naming the place.
  public init(json: Data, source: String) throws {
    do {
      self = try JSONDecoder().decode(ModelDescription.self, from: json)
    } catch let error as DecodingError {
      throw ApusError(.data, operation: source, error.explanation(of: "model description"))
    } catch let error as ApusError {
      throw ApusError(error.kind, operation: source, error.message)
    }
    guard format == "apus-model", version == 1 else {
      throw ApusError(
        .data, operation: source,
        "format '\(format)' version \(version) is not known; expected 'apus-model' version 1")
    }
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    /// A decoder tells of 1.5 for a whole number as if the text were no JSON.
    func value<T: Decodable>(_ key: CodingKeys, _ expected: String) throws -> T? {
      do {
        return try values.decodeIfPresent(T.self, forKey: key)
      } catch {
        throw ApusError(
          .data, operation: "model description",
          "'\(key.rawValue)' of the model description must be \(expected)")
      }
    }
    let keys = try decoder.container(keyedBy: LayerDescription.Key.self).allKeys
    format = try values.decodeIfPresent(String.self, forKey: .format) ?? "apus-model"
    version = try value(.version, "a whole number") ?? 1
    let known = CodingKeys.allCases.map(\.rawValue)
    let unknown = keys.map(\.stringValue).filter { !known.contains($0) }.sorted()
    // A later version may have others; what is wrong there is the version.
    guard unknown.isEmpty || version != 1 else {
      throw ApusError(
        .data, operation: "model description",
        "the model description does not know \(unknown.map { "'\($0)'" }.joined(separator: ", ")); "
          + "it knows \(known.sorted().joined(separator: ", "))")
    }
    name = try values.decodeIfPresent(String.self, forKey: .name)
    inputShape = try value(.inputShape, "a list of whole numbers")
    inputShapes = try value(.inputShapes, "lists of whole numbers by name")
    classCount = try value(.classCount, "a whole number")
    variableLength = try values.decodeIfPresent(Bool.self, forKey: .variableLength)
    vocabularySize = try value(.vocabularySize, "a whole number")
    layers = try values.decode([LayerDescription].self, forKey: .layers)
    outputs = try values.decodeIfPresent([String].self, forKey: .outputs)
  }

  /// The JSON text, keys in order.
  public func json(pretty: Bool = false) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = pretty ? [.sortedKeys, .prettyPrinted] : [.sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// The description with input shape, class count and vocabulary filled in from the data.
  /// - Throws: ``ApusError`` where the description says otherwise than the data.
  public func resolved(
    inputShape shape: [Int], classCount count: Int?, vocabularySize size: Int? = nil
  ) throws -> ModelDescription {
    var result = self
    if let size {
      if let vocabularySize, vocabularySize != size {
        throw ApusError(
          .shape, operation: name ?? "model",
          "the model has a vocabulary of \(vocabularySize) tokens, the data one of \(size)")
      }
      result.vocabularySize = size
    }
    if inputShapes == nil {
      // How many steps there are at most is a matter of the data.
      let steps = variableLength == true ? 1 : 0
      if let inputShape, inputShape.dropFirst(steps) != shape.dropFirst(steps) {
        throw ApusError(
          .shape, operation: name ?? "model",
          "the model takes inputs of shape \(inputShape), the data has \(shape)")
      }
      result.inputShape = shape
    }
    if let count {
      if let classCount, classCount != count {
        throw ApusError(
          .shape, operation: name ?? "model",
          "the model has \(classCount) classes, the data has \(count)")
      }
      result.classCount = count
    }
    return result
  }

  /// The most values of one example that a layer may give.
  private static let maximumValueCount = 1 << 31

  /// Whether an example of a shape is small enough to count with.
  static func isSensible(_ shape: [Int]) -> Bool {
    shape.reduce(Optional(1)) { count, extent in
      guard let count, case let (product, overflow) = count.multipliedReportingOverflow(by: extent),
        !overflow, product <= maximumValueCount
      else { return nil }
      return product
    } != nil
  }

  /// Whether the model takes rows of tokens: its first layer is an embedding of a variable number of them.
  public var takesTokens: Bool {
    variableLength == true && layers.contains { $0.type == "Embedding" }
  }

  /// Whether the model tells the next token at every step: tokens go in, and its last layer is as wide as
  /// the vocabulary.
  public var isLanguageModel: Bool {
    takesTokens && layers.last?.attributes["outFeatures"] == .text("vocabularySize")
  }

  /// Names and shapes of the inputs.
  func inputs() throws -> [(name: String, shape: [Int])] {
    let named = inputShapes.map { $0.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
    guard let inputs = named ?? inputShape.map({ [("input", $0)] }), !inputs.isEmpty else {
      throw ApusError(
        .data, operation: name ?? "model",
        "the description has no 'inputShape'; add it, or build the model from data")
    }
    for (name, shape) in inputs
    where !shape.allSatisfy({ $0 > 0 }) || shape.count > 7 || !Self.isSensible(shape) {
      throw ApusError(
        .shape, operation: name,
        "input shape \(shape) must have at most 7 axes, each positive (without the batch axis), and "
          + "at most \(Self.maximumValueCount) values")
    }
    if variableLength == true, let flat = inputs.first(where: { $0.1.isEmpty }) {
      throw ApusError(.shape, operation: flat.0, "has no axis of steps that could vary in length")
    }
    return inputs
  }
}

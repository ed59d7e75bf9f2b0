import ApusData
import ApusDevice
import ApusNN
import ApusTensor
import Foundation

/// A model that foretells the next token, with its tokenizer: what a model file of `apus train` holds, and
/// all that generating needs.
public struct LanguageModel: StoredModel {
  public let model: GraphModel
  public let tokenizer: Tokenizer
  public let device: Device
  /// The file it was read from, for messages.
  package private(set) var path: String?

  private static let key = "tokenizer"

  /// - Parameter name: What errors call it.
  /// - Throws: ``ApusError`` where the model does not tell the next token of this tokenizer.
  public init(
    model: GraphModel, tokenizer: Tokenizer, device: Device, name: String = "language model"
  ) throws {
    guard model.description.takesTokens, model.outputShapes.count == 1,
      model.outputShapes[0].count == 2, model.outputShapes[0][1] == tokenizer.vocabularySize
    else {
      throw ApusError(
        .shape, operation: name,
        "is no language model: its outputs have shapes \(model.outputShapes); for every step there must "
          + "be a number for each of the \(tokenizer.vocabularySize) tokens")
    }
    guard model.isCausal else {
      throw ApusError(
        .value, operation: name,
        "looks at the steps to come (a bidirectional layer, or pooling over all steps); what it learns "
          + "would be of no use where these are to be foretold")
    }
    self.model = model
    self.tokenizer = tokenizer
    self.device = device
  }

  /// Reads a model file.
  /// - Throws: ``ApusError`` where it cannot be read or holds another kind of model.
  public init(path: String, on device: Device) throws {
    try self.init(ModelFile(path: path, on: device), path: path, on: device)
  }

  /// - Parameter path: The file's, for messages.
  /// - Throws: ``ApusError`` for a model of another kind.
  public init(_ file: ModelFile, path: String, on device: Device) throws {
    guard let json = file.extras[Self.key] else {
      throw ApusError(
        .file, operation: path,
        "is no language model"
          + (file.classNames.isEmpty ? "" : " but tells \(file.classNames.count) classes")
          + "; `apus train --model char-lstm --data text.txt` makes one")
    }
    let tokenizer: Tokenizer
    do {
      tokenizer = try JSONDecoder().decode(Tokenizer.self, from: Data(json.utf8))
    } catch {
      throw ApusError(
        .file, operation: path, "its metadata 'apus.\(Self.key)' is damaged: \(error)")
    }
    try self.init(model: file.model, tokenizer: tokenizer, device: device, name: path)
    self.path = path
  }

  /// Whether a model file holds a language model.
  public static func isStored(in file: ModelFile) -> Bool { file.extras[key] != nil }

  /// What to go on from where nobody says: a line break or, where the model has never seen one, the first
  /// character that it knows.
  public var defaultPrompt: String {
    guard case .character(let tokenizer) = tokenizer, let first = tokenizer.scalars.first,
      !tokenizer.unknownScalars(in: "\n").isEmpty
    else { return "\n" }
    return String(first)
  }

  public func file() throws -> ModelFile {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let json = String(decoding: try encoder.encode(tokenizer), as: UTF8.self)
    return ModelFile(model, extras: [Self.key: json])
  }

  /// Judges the model on a text.
  /// - Throws: ``ApusError`` where the text has fewer than two tokens, or the loss is not finite.
  public func evaluate(_ text: String, name: String = "text") throws -> LanguageEvaluation {
    let tokens = tokenizer.encode(text)
    let found = try LanguageEvaluation(
      of: model,
      on: try TokenStreams(tokens, rows: LanguageEvaluation.rows, name: name, on: device),
      charactersPerToken: Self.charactersPerToken(text, tokens))
    guard found.loss.isFinite else {
      throw model.notFinite(path, "its outputs are not finite on \(name)")
    }
    return found
  }

  /// Unicode scalars for each token.
  public static func charactersPerToken(_ text: String, _ tokens: [Int32]) -> Double? {
    tokens.isEmpty ? nil : Double(text.unicodeScalars.count) / Double(tokens.count)
  }
}

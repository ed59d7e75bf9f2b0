import Apus
import Foundation

/// Learning to foretell the next token of a text.
struct LanguageTask: LearningTask {
  private let name: String
  private let learnt: Tokenizer
  private let training: [Int32]
  /// The last part of the text.
  private let validation: (text: String, tokens: [Int32])?
  private let sequenceLength: Int

  /// - Parameter share: How much of the text, at its end, is held out for validation.
  /// - Throws: ``ApusError`` where the file is no text, or too short for its parts.
  init(
    _ path: String, validation share: Double, text options: TextOptions, data: DataOptions
  ) throws {
    guard options.tokenizer.kind != .word else {
      throw ApusError(
        .value, operation: "--tokenizer",
        "words do not tell what stands between them, so a language model cannot write with them; use "
          + "character or bpe")
    }
    let scalars = try TextFile.read(path, encoding: data.textEncoding).unicodeScalars
    let count = scalars.count
    let held = Int((Double(count) * share).rounded())
    let cut = scalars.index(scalars.startIndex, offsetBy: count - held)
    let text = String(scalars[..<cut])
    learnt = try Tokenizer(training: [text], options.tokenizer)
    training = learnt.encode(text)
    if share > 0 {
      let rest = String(scalars[cut...])
      validation = (rest, learnt.encode(rest))
    } else {
      validation = nil
    }
    name = path
    sequenceLength = options.sequenceLength
  }

  var summary: String {
    "\(training.count) tokens of \(name) (\(learnt.vocabularySize) different ones)"
  }
  var notes: [String] { [] }
  var inputShape: [Int] { [sequenceLength] }
  var outputShape: [Int] { [sequenceLength, learnt.vocabularySize] }
  var classCount: Int? { nil }
  var tokenizer: Tokenizer? { learnt }

  func objective(_ options: TrainingOptions, on device: Device) throws -> any Objective {
    try LanguageObjective(
      training: training, validation: validation?.tokens, sequenceLength: sequenceLength,
      charactersPerToken: validation.flatMap {
        LanguageModel.charactersPerToken($0.text, $0.tokens)
      }, options: options, device: device)
  }

  func stored(
    _ model: GraphModel, _ options: TrainingOptions, on device: Device
  ) throws -> any StoredModel {
    try LanguageModel(model: model, tokenizer: learnt, device: device)
  }

  /// There is no further part: the held-out end of the text is told once more.
  func test(_ stored: any StoredModel) throws -> FinalTest? {
    guard let validation, let language = stored as? LanguageModel else { return nil }
    let found = try language.evaluate(validation.text, name: name)
    return FinalTest(
      figures: Figures(loss: found.loss, others: found.figures), isValidation: true,
      summary: "validation " + found.line)
  }
}

extension LanguageEvaluation {
  var line: String {
    var line = String(format: "loss %.4f nats a token  perplexity %.3f", loss, perplexity)
    if let bitsPerCharacter {
      line += String(format: "  %.4f bits a character", bitsPerCharacter)
    }
    return line + " (\(count) tokens)"
  }
}

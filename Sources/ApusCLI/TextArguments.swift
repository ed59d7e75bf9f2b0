import Apus
import ArgumentParser

extension Tokenizer.Kind: ExpressibleByArgument {}
extension TextFile.Encoding: ExpressibleByArgument {}

/// How texts become tokens.
struct TextArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What a token is: character, word or bpe (byte pairs learnt from the data).",
      discussion: "Default: word for classes, character for language models."))
  var tokenizer: Tokenizer.Kind?

  @Option(
    help: ArgumentHelp(
      "The most tokens; rarer ones are unknown, or with bpe cut into smaller ones.",
      discussion: "Default: all characters, 30000 words, 1024 byte pairs."))
  var vocabulary: Int?

  @Option(help: "How often a token must occur. Default: 1 for characters, 2 for words and pairs.")
  var minCount: Int?

  @Flag(inversion: .prefixedNo, help: "Whether words are put into lower case.")
  var lowercase = true

  @Option(help: "Tokens of a text that count; what follows is cut off.")
  var maxLength: Int?

  @Option(help: "For language models: tokens of a row in each step.")
  var sequenceLength: Int?

  @Option(help: "The size of the vectors of tokens. Default: that of the model.")
  var embeddingSize: Int?

  @Option(help: "The size of recurrent states. Default: that of the model.")
  var hiddenSize: Int?

  @Option(help: "Recurrent layers on top of each other. Default: those of the model.")
  var numLayers: Int?

  @Option(help: "The share of values that dropout zeroes in training. Default: that of the model.")
  var dropout: Double?

  func check(isForLanguageModel: Bool) throws {
    for (name, number) in [
      ("min-count", minCount), ("embedding-size", embeddingSize), ("hidden-size", hiddenSize),
      ("num-layers", numLayers),
    ] {
      if let number, number < 1 {
        throw ValidationError("--\(name) is \(number); it must be positive")
      }
    }
    if isForLanguageModel, tokenizer == .word {
      throw ValidationError(
        "--tokenizer word does not tell what stands between words, so a language model cannot write "
          + "with it; use character or bpe")
    }
    do {
      try options(isForLanguageModel ? .character : .word).validate()
    } catch let error as ApusError {
      throw ValidationError(error.message)
    }
    for (name, number) in [("max-length", maxLength), ("sequence-length", sequenceLength)] {
      if let number, !(1...TextEncoding.lengthLimit).contains(number) {
        throw ValidationError("--\(name) must be within 1...\(TextEncoding.lengthLimit)")
      }
    }
    if let dropout, !(dropout >= 0 && dropout < 1) {
      throw ValidationError("--dropout must be in 0..<1, not \(dropout)")
    }
  }

  func options(_ kind: Tokenizer.Kind) -> Tokenizer.Options {
    Tokenizer.Options(
      tokenizer ?? kind, vocabulary: vocabulary, minimumCount: minCount, lowercases: lowercase)
  }

  var sizes: RecurrentSizes {
    RecurrentSizes(
      embeddingSize: embeddingSize, hiddenSize: hiddenSize, numLayers: numLayers, dropout: dropout)
  }

  func defaultModel(textColumn: String?) -> String {
    if sequenceLength != nil { return "char-lstm" }
    return textColumn != nil || maxLength != nil ? "text-gru" : "mlp"
  }

  /// Notes what was given of options that only models of texts have.
  func note(in given: inout GivenOptions) {
    given.add(
      .texts,
      [
        "--tokenizer": tokenizer != nil, "--vocabulary": vocabulary != nil,
        "--min-count": minCount != nil, "--no-lowercase": !lowercase,
      ])
    given.add(.textClasses, ["--max-length": maxLength != nil])
    given.add(.language, ["--sequence-length": sequenceLength != nil])
  }
}

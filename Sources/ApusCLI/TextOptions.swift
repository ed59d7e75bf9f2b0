import Apus
import Foundation

/// What a training run does with texts.
struct TextOptions {
  var tokenizer = Tokenizer.Options(.word)
  var maximumLength = TextOptions.defaultMaximumLength
  var sequenceLength = 64

  static let defaultMaximumLength = 256

  /// Learns a tokenizer from the training texts, and makes tokens of all.
  func prepare(
    _ training: Dataset, _ validation: Dataset?
  ) throws -> (training: Dataset, validation: Dataset?, encoding: TextEncoding, note: String?) {
    let encoding = try TextEncoding(
      tokenizer: try Tokenizer(training: training.texts ?? [], tokenizer),
      maximumLength: maximumLength)
    let tokens = try training.tokenized(by: encoding)
    let cut = (tokens.lengths ?? []).count { $0 == maximumLength }
    let note =
      cut * 20 > tokens.count
      ? "\(cut) of \(tokens.count) texts have \(maximumLength) tokens or more; what follows is cut off "
        + "(--max-length)" : nil
    return (tokens, try validation?.tokenized(by: encoding), encoding, note)
  }
}

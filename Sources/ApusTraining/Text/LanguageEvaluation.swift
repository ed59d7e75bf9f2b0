import ApusNN
import ApusTensor
import Foundation

/// What a language model makes of a text it has not seen.
public struct LanguageEvaluation: Sendable, Hashable {
  /// Nats per token.
  public let loss: Double
  /// The tokens that were foretold.
  public let count: Int
  /// `e^loss`: among how many equally likely tokens the model would be as unsure.
  public var perplexity: Double { exp(loss) }
  /// Bits per character of the text, which does not depend on the tokenizer; nil where characters were
  /// not counted.
  public let bitsPerCharacter: Double?

  /// Rows that go through parts of the text side by side, each from a state of zero.
  static let rows = 32
  private static let steps = 128

  /// - Throws: ``ApusError`` where the model does not take the tokens.
  init(
    of model: any RecurrentModel, on streams: TokenStreams, charactersPerToken: Double?
  ) throws {
    var states: [String: RecurrentState] = [:]
    var sums: [Tensor] = []
    var position = 0
    while position < streams.length {
      let (x, y) = try streams.piece(at: position, size: Self.steps)
      let logits = try model(x, states: &states, .evaluation)
      sums.append(try crossEntropy(try logits.flattened(start: 0, end: 1), y, reduction: .sum))
      position += x.shape[1]
    }
    let total = try Tensor.stacked(sums).scalars().reduce(0) { $0 + Double($1) }
    count = streams.count
    let mean = total / Double(max(count, 1))
    loss = mean
    bitsPerCharacter = charactersPerToken.map { mean / $0 / log(2) }
  }

  /// Perplexity and bits per character by name, as logs tell them.
  public var figures: [String: Double] {
    var figures = ["perplexity": perplexity]
    figures["bitsPerCharacter"] = bitsPerCharacter
    return figures
  }
}

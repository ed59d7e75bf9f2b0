import ApusDevice

/// One token per Unicode scalar.
///
/// Scalars rather than grapheme clusters: every text is the exact concatenation of its tokens, the
/// vocabulary stays small (an emoji with a skin tone is two tokens, not one of thousands), and no rule
/// changes with the version of Unicode.
public struct CharacterTokenizer: TextTokenizer {
  /// The scalars of the tokens from ``Tokenizer/specialCount`` on, ascending.
  public let scalars: [Unicode.Scalar]
  private let tokens: [Unicode.Scalar: Int32]

  /// - Parameters:
  ///   - texts: Give the vocabulary.
  ///   - maximumSize: The most tokens, the special ones included; the most frequent scalars are kept,
  ///     of equals those that come first in Unicode.
  ///   - minimumCount: How often a scalar must occur.
  public init(training texts: some Sequence<String>, maximumSize: Int? = nil, minimumCount: Int = 1)
  {
    var counts: [Unicode.Scalar: Int] = [:]
    for text in texts { for scalar in text.unicodeScalars { counts[scalar, default: 0] += 1 } }
    let limit = max((maximumSize ?? Int.max) - Tokenizer.specialCount, 0)
    let kept = counts.filter { $0.value >= minimumCount }
      .sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }
      .prefix(limit).map(\.key)
    self.init(scalars: kept.sorted())
  }

  private init(scalars: [Unicode.Scalar]) {
    self.scalars = scalars
    tokens = Dictionary(
      zip(scalars, (0..<scalars.count).map { Int32(clamping: $0 + Tokenizer.specialCount) }),
      uniquingKeysWith: { first, _ in first })
  }

  public var vocabularySize: Int { scalars.count + Tokenizer.specialCount }

  public func encode(_ text: String) -> [Int32] {
    text.unicodeScalars.map { tokens[$0] ?? Tokenizer.unknown }
  }

  /// The text of tokens; U+FFFD for the unknown one, nothing for padding.
  public func decode(_ tokens: some Sequence<Int32>) -> String {
    var text = String.UnicodeScalarView()
    for token in tokens where token != Tokenizer.padding {
      let index = Int(token) - Tokenizer.specialCount
      text.append(scalars.indices.contains(index) ? scalars[index] : "\u{FFFD}")
    }
    return String(text)
  }

  /// The scalars of a text that have no token, each once, in their order.
  public func unknownScalars(in text: String) -> [Unicode.Scalar] {
    var seen = Set<Unicode.Scalar>()
    return text.unicodeScalars.filter { tokens[$0] == nil && seen.insert($0).inserted }
  }

  private enum CodingKeys: String, CodingKey { case scalars }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let text = try container.decode(String.self, forKey: .scalars)
    self.init(scalars: Array(text.unicodeScalars))
    guard tokens.count == scalars.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .scalars, in: container, debugDescription: "a character is listed twice")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    try container.encode(String(text), forKey: .scalars)
  }
}

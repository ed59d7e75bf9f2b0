import ApusDevice

/// One token per word: a run of letters, marks, digits and `_`, or a run of other characters that are no
/// white space (`\w+|[^\w\s]+`, as the pre-tokenizer `Whitespace` of Hugging Face's tokenizers).
public struct WordTokenizer: TextTokenizer {
  /// The words of the tokens from ``Tokenizer/specialCount`` on: the most frequent first, equals in
  /// the order of their characters.
  public let words: [String]
  /// Whether texts are put into lower case first.
  public let lowercases: Bool
  private let tokens: [String: Int32]

  /// - Parameters:
  ///   - texts: Give the vocabulary.
  ///   - lowercases: Whether `Free` and `free` are the same word.
  ///   - maximumSize: The most tokens, the special ones included; the most frequent words are kept.
  ///   - minimumCount: How often a word must occur; others become the unknown token, which so learns
  ///     what rare words have in common.
  public init(
    training texts: some Sequence<String>, lowercases: Bool = true, maximumSize: Int = 30_000,
    minimumCount: Int = 2
  ) {
    var counts: [String: Int] = [:]
    for text in texts { Self.forEachWord(of: text, lowercases) { counts[$0, default: 0] += 1 } }
    let kept = counts.filter { $0.value >= minimumCount }
      .sorted {
        $0.value == $1.value
          ? $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) : $0.value > $1.value
      }
      .prefix(max(maximumSize - Tokenizer.specialCount, 0)).map(\.key)
    self.init(words: kept, lowercases: lowercases)
  }

  private init(words: [String], lowercases: Bool) {
    self.words = words
    self.lowercases = lowercases
    tokens = Dictionary(
      zip(words, (0..<words.count).map { Int32(clamping: $0 + Tokenizer.specialCount) }),
      uniquingKeysWith: { first, _ in first })
  }

  public var vocabularySize: Int { words.count + Tokenizer.specialCount }

  public func encode(_ text: String) -> [Int32] {
    var result: [Int32] = []
    Self.forEachWord(of: text, lowercases) { result.append(tokens[$0] ?? Tokenizer.unknown) }
    return result
  }

  /// The words with a space between them; U+FFFD for the unknown token, nothing for padding. What stood
  /// between words, and their case, is lost.
  public func decode(_ tokens: some Sequence<Int32>) -> String {
    tokens.filter { $0 != Tokenizer.padding }.map { token in
      let index = Int(token) - Tokenizer.specialCount
      return words.indices.contains(index) ? words[index] : "\u{FFFD}"
    }.joined(separator: " ")
  }

  private enum Kind { case space, word, other }

  private static func forEachWord(of text: String, _ lowercases: Bool, _ body: (String) -> Void) {
    let scalars = (lowercases ? text.lowercased() : text).unicodeScalars
    var (start, current) = (scalars.startIndex, Kind.space)
    for place in scalars.indices {
      let kind = kind(of: scalars[place])
      guard kind != current else { continue }
      if current != .space { body(String(scalars[start..<place])) }
      (start, current) = (place, kind)
    }
    if current != .space { body(String(scalars[start...])) }
  }

  private static func kind(of scalar: Unicode.Scalar) -> Kind {
    switch scalar.value {
    case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: return .word
    case 0x09...0x0D, 0x20: return .space
    case 0..<0x80: return .other
    // Joiners stand within words.
    case 0x200C, 0x200D: return .word
    default: break
    }
    let properties = scalar.properties
    if properties.isWhitespace { return .space }
    if properties.isAlphabetic { return .word }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation:
      return .word
    default: return .other
    }
  }

  private enum CodingKeys: String, CodingKey { case words, lowercases }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      words: try container.decode([String].self, forKey: .words),
      lowercases: try container.decode(Bool.self, forKey: .lowercases))
    guard tokens.count == words.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .words, in: container, debugDescription: "a word is listed twice")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(words, forKey: .words)
    try container.encode(lowercases, forKey: .lowercases)
  }
}

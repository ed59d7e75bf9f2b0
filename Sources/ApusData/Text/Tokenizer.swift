import ApusDevice

/// What turns text into token numbers and back.
public protocol TextTokenizer: Sendable, Hashable, Codable {
  /// The number of tokens, the special ones included.
  var vocabularySize: Int { get }
  func encode(_ text: String) -> [Int32]
  func decode(_ tokens: some Sequence<Int32>) -> String
}

/// A tokenizer of one of the kinds there are, with its vocabulary; part of a model file.
///
/// Token 0 is padding, token 1 stands for what is unknown; the others follow.
public enum Tokenizer: TextTokenizer {
  case character(CharacterTokenizer)
  case word(WordTokenizer)
  case bytePair(BytePairTokenizer)

  public static let padding: Int32 = 0
  public static let unknown: Int32 = 1
  /// How many tokens stand for no text.
  public static let specialCount = 2
  /// The most tokens a vocabulary may have.
  public static let sizeLimit = 1 << 20

  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    case character, word
    case bytePair = "bpe"
  }

  /// How to make a tokenizer from texts.
  public struct Options: Sendable, Hashable {
    public var kind: Kind
    /// The most tokens; nil for all characters, 30 000 words or 1 024 byte pairs.
    public var vocabulary: Int?
    /// How often a character, a word or a pair must occur; nil for 1, 2 and 2.
    public var minimumCount: Int?
    /// For words: whether they are put into lower case.
    public var lowercases: Bool

    public init(
      _ kind: Kind, vocabulary: Int? = nil, minimumCount: Int? = nil, lowercases: Bool = true
    ) {
      self.kind = kind
      self.vocabulary = vocabulary
      self.minimumCount = minimumCount
      self.lowercases = lowercases
    }

    /// - Throws: ``ApusError`` where a number is out of range.
    public func validate() throws {
      let least =
        kind == .bytePair ? BytePairTokenizer.firstMerged : Tokenizer.specialCount + 1
      if let vocabulary, !(least...Tokenizer.sizeLimit).contains(vocabulary) {
        throw ApusError(
          .value, operation: "tokenizer",
          "a vocabulary of \(vocabulary) is not possible; for \(kind.rawValue) it must be within "
            + "\(least)...\(Tokenizer.sizeLimit)"
            + (kind == .bytePair ? ", since every byte has a token" : ""))
      }
      if let minimumCount, minimumCount < 1 {
        throw ApusError(
          .value, operation: "tokenizer",
          "the minimum count is \(minimumCount); it must be positive"
        )
      }
    }
  }

  /// Learns the vocabulary of texts.
  /// - Throws: ``ApusError`` where an option is out of range, or the texts have nothing to learn.
  public init(training texts: some Sequence<String>, _ options: Options) throws {
    try options.validate()
    switch options.kind {
    case .character:
      self = .character(
        CharacterTokenizer(
          training: texts, maximumSize: options.vocabulary,
          minimumCount: options.minimumCount ?? 1))
    case .word:
      self = .word(
        WordTokenizer(
          training: texts, lowercases: options.lowercases,
          maximumSize: options.vocabulary ?? 30_000, minimumCount: options.minimumCount ?? 2))
    case .bytePair:
      self = .bytePair(
        BytePairTokenizer(
          training: texts, maximumSize: options.vocabulary ?? 1024,
          minimumCount: options.minimumCount ?? 2))
    }
    guard vocabularySize > Self.specialCount else {
      throw ApusError(
        .data, operation: "tokenizer",
        "the texts hold no \(options.kind.rawValue) often enough to be in the vocabulary")
    }
  }

  public var kind: Kind {
    switch self {
    case .character: .character
    case .word: .word
    case .bytePair: .bytePair
    }
  }

  public var vocabularySize: Int {
    switch self {
    case .character(let tokenizer): tokenizer.vocabularySize
    case .word(let tokenizer): tokenizer.vocabularySize
    case .bytePair(let tokenizer): tokenizer.vocabularySize
    }
  }

  public func encode(_ text: String) -> [Int32] {
    switch self {
    case .character(let tokenizer): tokenizer.encode(text)
    case .word(let tokenizer): tokenizer.encode(text)
    case .bytePair(let tokenizer): tokenizer.encode(text)
    }
  }

  public func decode(_ tokens: some Sequence<Int32>) -> String {
    switch self {
    case .character(let tokenizer): tokenizer.decode(tokens)
    case .word(let tokenizer): tokenizer.decode(tokens)
    case .bytePair(let tokenizer): tokenizer.decode(tokens)
    }
  }

  private enum CodingKeys: String, CodingKey { case type }

  public init(from decoder: any Decoder) throws {
    switch try decoder.container(keyedBy: CodingKeys.self).decode(Kind.self, forKey: .type) {
    case .character: self = .character(try CharacterTokenizer(from: decoder))
    case .word: self = .word(try WordTokenizer(from: decoder))
    case .bytePair: self = .bytePair(try BytePairTokenizer(from: decoder))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .type)
    switch self {
    case .character(let tokenizer): try tokenizer.encode(to: encoder)
    case .word(let tokenizer): try tokenizer.encode(to: encoder)
    case .bytePair(let tokenizer): try tokenizer.encode(to: encoder)
    }
  }
}

/// Puts the text of tokens together as they come: only whole characters are given out.
public struct TextAssembly: Sendable {
  private let tokenizer: Tokenizer
  /// Bytes of a character that is not complete.
  private var rest: [UInt8] = []
  private var isFirst = true

  public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// The text that a further token completes; may be empty.
  public mutating func append(_ token: Int32) -> String {
    defer { isFirst = false }
    switch tokenizer {
    case .character(let tokenizer): return tokenizer.decode([token])
    case .word(let tokenizer): return (isFirst ? "" : " ") + tokenizer.decode([token])
    case .bytePair(let tokenizer):
      rest += tokenizer.bytes(of: [token])
      let end = UTF8Scan.completeEnd(of: rest[...])
      defer { rest.removeFirst(end) }
      return String(decoding: rest[..<end], as: UTF8.self)
    }
  }

  /// What is left: U+FFFD for a character that was never completed.
  public mutating func finish() -> String {
    defer { rest = [] }
    return String(decoding: rest, as: UTF8.self)
  }
}

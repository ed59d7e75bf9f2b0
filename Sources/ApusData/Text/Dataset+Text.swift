import ApusDevice

extension Dataset {
  /// Texts, which become tokens by ``tokenized(by:)`` before a model takes them.
  /// - Throws: ``ApusError`` where labels do not fit.
  public init(
    name: String, texts: [String], labels: [Int32] = [], classNames: [String] = []
  ) throws {
    try self.init(name, .texts(texts), [1], labels, classNames, nil, nil)
  }

  /// Rows of tokens of any lengths; a batch is padded to its longest.
  /// - Parameters:
  ///   - tokens: At least one token each.
  ///   - maximumLength: The most tokens a row may have; the shape of an example.
  /// - Throws: ``ApusError`` naming an example that is empty, too long or has a negative token.
  public init(
    name: String, tokens: [[Int32]], maximumLength: Int, labels: [Int32] = [],
    classNames: [String] = []
  ) throws {
    var rows = TokenRows()
    for (index, row) in tokens.enumerated() {
      guard !row.isEmpty, row.count <= maximumLength, row.allSatisfy({ $0 >= 0 }) else {
        throw ApusError(
          .data, operation: "Dataset(\(name))",
          "example \(index) has \(row.count) tokens; there must be 1 to \(maximumLength), none "
            + "negative")
      }
      rows.append(row)
    }
    try self.init(name, .tokens(rows), [maximumLength], labels, classNames, nil, nil)
  }

  /// The texts; nil for other examples.
  public var texts: [String]? {
    if case .texts(let texts) = storage { texts } else { nil }
  }

  /// Whether examples are rows of tokens, whose lengths differ.
  public var holdsTokens: Bool { if case .tokens = storage { true } else { false } }

  /// The number of tokens of each example; nil where examples all have one shape.
  public var lengths: [Int]? {
    guard case .tokens(let rows) = storage else { return nil }
    return (0..<rows.count).map { rows[$0].count }
  }

  /// The tokens of examples, each row padded to the longest with ``Tokenizer/padding``.
  /// - Returns: Row-major `[indices.count, longest]`, and the lengths.
  /// - Throws: ``ApusError`` for an index outside, or where examples are no tokens.
  public func tokenBatch(_ indices: [Int]) throws -> (tokens: [Int32], lengths: [Int]) {
    try check(indices)
    guard case .tokens(let rows) = storage else {
      throw ApusError(.data, operation: "Dataset(\(name))", "the examples are no tokens")
    }
    let lengths = indices.map { rows[$0].count }
    let longest = lengths.max() ?? 0
    var tokens: [Int32] = []
    tokens.reserveCapacity(indices.count * longest)
    for (index, length) in zip(indices, lengths) {
      tokens.append(contentsOf: rows[index])
      tokens.append(contentsOf: repeatElement(Tokenizer.padding, count: longest - length))
    }
    return (tokens, lengths)
  }

  /// The same examples as tokens; see ``TextEncoding``.
  /// - Throws: ``ApusError`` where the examples are no texts.
  public func tokenized(by encoding: TextEncoding) throws -> Dataset {
    guard let texts else {
      throw ApusError(
        .data, operation: "Dataset(\(name))", "the examples are no texts, so they have no tokens")
    }
    var rows = TokenRows()
    for text in texts { rows.append(encoding.encode(text)) }
    return try Dataset(
      name, .tokens(rows), [encoding.maximumLength], labels, classNames, nil, nil)
  }
}

/// How a text becomes a row of tokens: part of a classifier's file.
public struct TextEncoding: Sendable, Hashable, Codable {
  public let tokenizer: Tokenizer
  /// What a text has beyond this number of tokens is cut off.
  public let maximumLength: Int

  /// The most tokens a row may have.
  public static let lengthLimit = 1 << 20

  /// - Throws: ``ApusError`` where the length is out of range.
  public init(tokenizer: Tokenizer, maximumLength: Int) throws {
    guard (1...Self.lengthLimit).contains(maximumLength) else {
      throw ApusError(
        .value, operation: "text",
        "the maximum length is \(maximumLength); it must be within 1...\(Self.lengthLimit)")
    }
    self.tokenizer = tokenizer
    self.maximumLength = maximumLength
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      tokenizer: try container.decode(Tokenizer.self, forKey: .tokenizer),
      maximumLength: try container.decode(Int.self, forKey: .maximumLength))
  }

  /// One token at least: a text without any is unknown.
  public func encode(_ text: String) -> [Int32] {
    let tokens = tokenizer.encode(text)
    return tokens.isEmpty ? [Tokenizer.unknown] : Array(tokens.prefix(maximumLength))
  }
}

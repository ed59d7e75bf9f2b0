import ApusDevice

/// Byte-level byte-pair encoding, trained on the data: every text, and every sequence of bytes, has
/// tokens that give it back exactly, and frequent pieces of words are one token each.
///
/// Pieces are cut as in GPT-2 (Radford et al. 2019); merges are learnt and applied in the order of their
/// frequency, of equals the pair of the smaller tokens first, as Hugging Face's `ByteLevelBPETokenizer`
/// does. Tokens of single bytes follow the special ones in GPT-2's order: the visible characters of
/// Latin-1 first, then the other bytes.
public struct BytePairTokenizer: TextTokenizer {
  /// The tokens that each further token joins, in the order in which they were learnt.
  public let merges: [Merge]

  public struct Merge: Sendable, Hashable {
    public let first: Int32
    public let second: Int32
  }

  /// The bytes of every token.
  private let pieces: [[UInt8]]
  private let ranks: [UInt64: Int32]

  /// The most bytes of one token.
  static let pieceLimit = 1024
  static let firstMerged = Tokenizer.specialCount + 256

  /// Bytes in the order of their tokens, and tokens in the order of bytes.
  private static let byteOrder: [UInt8] = {
    let visible = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
    let others = (0...0xFF).filter { !visible.contains($0) }
    return (visible + others).map { UInt8($0) }
  }()
  private static let byteTokens: [Int32] = {
    var tokens = [Int32](repeating: 0, count: 256)
    for (index, byte) in byteOrder.enumerated() {
      tokens[Int(byte)] = Int32(index + Tokenizer.specialCount)
    }
    return tokens
  }()

  /// - Parameters:
  ///   - texts: Give the pieces.
  ///   - maximumSize: The most tokens, those of the 256 bytes and the special ones included.
  ///   - minimumCount: How often a pair must occur to be merged.
  public init(training texts: some Sequence<String>, maximumSize: Int, minimumCount: Int = 2) {
    var counts: [[UInt8]: Int] = [:]
    for text in texts {
      for piece in BytePairSplitter(Array(text.utf8)[...]) { counts[Array(piece), default: 0] += 1 }
    }
    let tokens = counts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
      (tokens: $0.key.map { Self.byteTokens[Int($0)] }, count: $0.value)
    }
    var training = BytePairTraining(tokens)
    var merges: [Merge] = []
    var lengths = [Int](repeating: 1, count: Self.firstMerged)
    while Self.firstMerged + merges.count < min(maximumSize, Tokenizer.sizeLimit),
      let pair = training.nextPair(
        minimumCount: minimumCount,
        where: { pair in
          let (first, second) = BytePairTraining.tokens(of: pair)
          return lengths[Int(first)] + lengths[Int(second)] <= Self.pieceLimit
        })
    {
      let (first, second) = BytePairTraining.tokens(of: pair)
      training.merge(pair, into: Int32(clamping: Self.firstMerged + merges.count))
      merges.append(Merge(first: first, second: second))
      lengths.append(lengths[Int(first)] + lengths[Int(second)])
    }
    self.init(learnt: merges)
  }

  /// - Throws: ``ApusError`` where a merge joins tokens that do not exist before it, or makes a token that
  ///   is too long.
  public init(merges: [Merge]) throws {
    var lengths = [Int](repeating: 1, count: Self.firstMerged)
    for (index, merge) in merges.enumerated() {
      let known = Tokenizer.specialCount..<lengths.count
      guard known.contains(Int(merge.first)), known.contains(Int(merge.second)),
        case let length = lengths[Int(merge.first)] + lengths[Int(merge.second)],
        length <= Self.pieceLimit, lengths.count < Tokenizer.sizeLimit
      else {
        throw ApusError(
          .data, operation: "BytePairTokenizer",
          "merge \(index) joins the tokens \(merge.first) and \(merge.second), which is not possible"
        )
      }
      lengths.append(length)
    }
    self.init(learnt: merges)
  }

  private init(learnt merges: [Merge]) {
    self.merges = merges
    var pieces = [[UInt8]](repeating: [], count: Tokenizer.specialCount)
    pieces += Self.byteOrder.map { [$0] }
    var ranks: [UInt64: Int32] = [:]
    for merge in merges {
      let pair = BytePairTraining.pair(merge.first, merge.second)
      if ranks[pair] == nil { ranks[pair] = Int32(clamping: pieces.count) }
      pieces.append(pieces[Int(merge.first)] + pieces[Int(merge.second)])
    }
    self.pieces = pieces
    self.ranks = ranks
  }

  public var vocabularySize: Int { pieces.count }

  public func encode(_ text: String) -> [Int32] { encode(bytes: Array(text.utf8)) }

  /// The tokens of any bytes.
  public func encode(bytes: [UInt8]) -> [Int32] {
    var known: [ArraySlice<UInt8>: [Int32]] = [:]
    var result: [Int32] = []
    for piece in BytePairSplitter(bytes[...]) {
      if let tokens = known[piece] {
        result += tokens
      } else {
        let tokens = merged(piece)
        known[piece] = tokens
        result += tokens
      }
    }
    return result
  }

  /// The text of tokens; U+FFFD for what is no UTF-8.
  public func decode(_ tokens: some Sequence<Int32>) -> String {
    String(decoding: bytes(of: tokens), as: UTF8.self)
  }

  /// The bytes of tokens; none for the special ones.
  public func bytes(of tokens: some Sequence<Int32>) -> [UInt8] {
    tokens.flatMap { pieces.indices.contains(Int($0)) ? pieces[Int($0)] : [] }
  }

  private struct Candidate: Comparable {
    /// The token that the pair becomes.
    let token: Int32
    let place: Int
    static func < (a: Candidate, b: Candidate) -> Bool {
      a.token == b.token ? a.place < b.place : a.token < b.token
    }
  }

  /// Merges within a piece, the earliest learnt first, of equals the leftmost.
  private func merged(_ piece: ArraySlice<UInt8>) -> [Int32] {
    // A chain of places; what a merge swallows has no token any more.
    var tokens = piece.map { Self.byteTokens[Int($0)] }
    let count = tokens.count
    guard count > 1, !ranks.isEmpty else { return tokens }
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    var queue = PriorityQueue<Candidate>()
    func rank(at place: Int) -> Int32? {
      next[place] < count
        ? ranks[BytePairTraining.pair(tokens[place], tokens[next[place]])] : nil
    }
    for place in 0..<count {
      if let token = rank(at: place) { queue.insert(Candidate(token: token, place: place)) }
    }
    while let best = queue.popLeast() {
      // Older entries of a place may be about a pair that is gone; nothing joins padding.
      guard rank(at: best.place) == best.token else { continue }
      let swallowed = next[best.place]
      tokens[best.place] = best.token
      tokens[swallowed] = Tokenizer.padding
      next[best.place] = next[swallowed]
      if next[swallowed] < count { previous[next[swallowed]] = best.place }
      for place in [previous[best.place], best.place] where place >= 0 {
        if let token = rank(at: place) { queue.insert(Candidate(token: token, place: place)) }
      }
    }
    return tokens.filter { $0 != Tokenizer.padding }
  }

  private enum CodingKeys: String, CodingKey { case merges }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let flat = try container.decode([Int32].self, forKey: .merges)
    guard flat.count.isMultiple(of: 2) else {
      throw DecodingError.dataCorruptedError(
        forKey: .merges, in: container, debugDescription: "the last merge is cut off")
    }
    try self.init(
      merges: stride(from: 0, to: flat.count, by: 2).map {
        Merge(first: flat[$0], second: flat[$0 + 1])
      })
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(merges.flatMap { [$0.first, $0.second] }, forKey: .merges)
  }
}

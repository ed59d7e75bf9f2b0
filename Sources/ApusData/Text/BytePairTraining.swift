/// Learns which pairs of tokens to merge (Sennrich, Haddow and Birch 2016).
///
/// Texts are pieces with counts, so a word that occurs a thousand times is looked at once. Pairs are
/// counted once; a merge then visits the pieces that hold the pair and corrects the counts around it. The
/// queue may hold counts that have sunk since; they are put right when they come to the top.
struct BytePairTraining {
  /// A pair as one number, which orders pairs by their tokens.
  typealias Pair = UInt64

  private struct Candidate: Comparable {
    let count: Int
    let pair: Pair
    /// The most frequent first, of equals the pair of the smaller tokens.
    static func < (a: Candidate, b: Candidate) -> Bool {
      a.count == b.count ? a.pair < b.pair : a.count > b.count
    }
  }

  private var pieces: [(tokens: [Int32], count: Int)]
  private var counts: [Pair: Int] = [:]
  /// The pieces that held a pair when it came up; some may have lost it.
  private var places: [Pair: [Int]] = [:]
  private var queue = PriorityQueue<Candidate>()

  /// - Parameter pieces: Tokens of the pieces of a text, and how often each piece occurs, in an order
  ///   that depends on the text alone.
  init(_ pieces: [(tokens: [Int32], count: Int)]) {
    self.pieces = pieces
    for (index, piece) in pieces.enumerated() {
      for (first, second) in zip(piece.tokens, piece.tokens.dropFirst()) {
        let pair = Self.pair(first, second)
        counts[pair, default: 0] += piece.count
        if places[pair]?.last != index { places[pair, default: []].append(index) }
      }
    }
    for (pair, count) in counts { queue.insert(Candidate(count: count, pair: pair)) }
  }

  static func pair(_ first: Int32, _ second: Int32) -> Pair {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  static func tokens(of pair: Pair) -> (first: Int32, second: Int32) {
    (Int32(truncatingIfNeeded: pair >> 32), Int32(truncatingIfNeeded: pair))
  }

  /// The most frequent pair that is left and may be merged.
  mutating func nextPair(minimumCount: Int, where isAllowed: (Pair) -> Bool) -> Pair? {
    while let top = queue.popLeast() {
      guard let count = counts[top.pair] else { continue }
      if count != top.count {
        if count > 0 { queue.insert(Candidate(count: count, pair: top.pair)) }
        continue
      }
      guard count >= minimumCount else { return nil }
      if isAllowed(top.pair) { return top.pair }
    }
    return nil
  }

  /// Puts a token for a pair wherever it stands.
  mutating func merge(_ pair: Pair, into token: Int32) {
    var changes: [Pair: Int] = [:]
    for index in places[pair] ?? [] { replace(pair, by: token, in: index, &changes) }
    counts[pair] = nil
    places[pair] = nil
    for (changed, difference) in changes where changed != pair {
      let isNew = counts[changed] == nil
      counts[changed, default: 0] += difference
      if isNew, let count = counts[changed], count > 0 {
        queue.insert(Candidate(count: count, pair: changed))
      }
    }
  }

  private mutating func replace(
    _ pair: Pair, by token: Int32, in index: Int, _ changes: inout [Pair: Int]
  ) {
    let (first, second) = Self.tokens(of: pair)
    let (old, count) = pieces[index]
    var new: [Int32] = []
    new.reserveCapacity(old.count)
    func note(_ a: Int32, _ b: Int32, _ sign: Int) {
      changes[Self.pair(a, b), default: 0] += sign * count
    }
    var place = 0
    while place < old.count {
      guard place + 1 < old.count, old[place] == first, old[place + 1] == second else {
        new.append(old[place])
        place += 1
        continue
      }
      if let before = new.last {
        note(before, first, -1)
        note(before, token, 1)
        remember(before, token, index)
      }
      if place + 2 < old.count {
        note(second, old[place + 2], -1)
        note(token, old[place + 2], 1)
        remember(token, old[place + 2], index)
      }
      new.append(token)
      place += 2
    }
    pieces[index].tokens = new
  }

  private mutating func remember(_ first: Int32, _ second: Int32, _ index: Int) {
    let pair = Self.pair(first, second)
    if places[pair]?.last != index { places[pair, default: []].append(index) }
  }
}

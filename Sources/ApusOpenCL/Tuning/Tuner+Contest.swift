import ApusDevice

extension Tuner {
  /// The part of the usual time that a winner may take at most.
  static let margin = 0.95
  /// Turns of a contest.
  static let turnCount = 9
  /// Seconds of one turn of the usual way, at least.
  static let turn = 4e-3

  /// The usual way first, then what was kept before, then others.
  struct Contest {
    let times: [[Double]]
    /// The position of who is kept.
    let winner: Int
  }

  /// Has the finalists meet the usual way and what is kept, in turns.
  func contest(
    _ trial: TuningTrial, _ key: TuningKey, kept: [Int]?, finalists: [[Int]], repeats: Int
  ) throws -> Contest {
    let choices = [nil, kept] + finalists.map(Optional.some)
    let times = try turns(trial, key, choices, repeats)
    var winner = Self.winner(
      usual: times[0], kept: kept == nil ? nil : times[1], others: Array(times.dropFirst(2)))
    if winner > 1 {
      // Who wins twice was not lucky.
      let again = try turns(trial, key, [nil, kept, choices[winner]], repeats)
      let second = Self.winner(
        usual: again[0], kept: kept == nil ? nil : again[1], others: [again[2]])
      if second != 2 { winner = second }
    }
    return Contest(times: times, winner: winner)
  }

  /// Times of each in turns, each turn all of them.
  private func turns(_ trial: TuningTrial, _ key: TuningKey, _ contest: [[Int]?], _ repeats: Int)
    throws -> [[Double]]
  {
    var times = [[Double]](repeating: [], count: contest.count)
    for _ in 0..<Self.turnCount {
      for (index, choice) in contest.enumerated() {
        times[index].append(try trial.time(key, choice, repeats))
      }
    }
    return times
  }

  /// Who goes into the contest: the fastest, and of those that are about as fast the first two by the estimate,
  /// in its order. What is chosen among equals should not depend on chance.
  package static func finalists(_ times: [Double]) -> [Int] {
    guard let least = times.min(), let fastest = times.firstIndex(of: least) else { return [] }
    let alike = times.indices.filter { times[$0] * margin <= least }
    return Set(alike.prefix(2) + [fastest]).sorted()
  }

  /// Who is kept: 0 for the usual way, 1 for what was kept before, else 2 + the index of another.
  ///
  /// One beats another by the margin in the median, and in nearly all turns.
  package static func winner(usual: [Double], kept: [Double]?, others: [[Double]]) -> Int {
    func beats(_ times: [Double], _ other: [Double]) -> Bool {
      let won = zip(times, other).filter { $0 < $1 }.count
      return median(times) <= median(other) * margin && won >= other.count - other.count / 4
    }
    let isKept = kept.map { median($0) <= median(usual) } ?? false
    let best = isKept ? kept ?? usual : usual
    let better = others.indices.filter { beats(others[$0], best) }
    guard let fastest = better.map({ median(others[$0]) }).min(),
      let first = better.first(where: { median(others[$0]) * margin <= fastest })
    else { return isKept ? 1 : 0 }
    return 2 + first
  }

  static func median(_ values: [Double]) -> Double {
    values.isEmpty ? .infinity : values.sorted()[values.count / 2]
  }
}

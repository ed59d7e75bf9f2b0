import ApusDevice

/// How far the search among the candidates of an operation got.
///
/// A search that its budget cut short leaves this in the tuning file, so that a later one compares only what
/// is left. Times are parts of the usual way's in the same call: the machine may be busier in the next one.
struct TuningProgress {
  /// One part of the usual way's time is a millionth.
  private static let unit = 1e6
  /// Tells apart lists of candidates: another list is searched from its beginning.
  private let list: Int
  /// The time of each candidate that was compared, in their order; 0 for one that computes wrong.
  private var parts: [Int]

  init(_ candidates: [[Int]]) {
    var list = Fingerprint()
    for choice in candidates {
      for number in choice { list.add(UInt64(bitPattern: Int64(number))) }
      list.add(UInt64(choice.count))
    }
    self.list = Int(bitPattern: UInt(list.value))
    parts = []
  }

  /// - Parameter numbers: What the file has, nil for nothing.
  /// - Returns: nil where that is about other candidates, or is nonsense.
  init?(_ numbers: [Int]?, of candidates: [[Int]]) {
    self.init(candidates)
    guard let numbers, numbers.first == list, numbers.count <= candidates.count + 1,
      numbers.dropFirst().allSatisfy({ $0 >= 0 })
    else { return nil }
    parts = Array(numbers.dropFirst())
  }

  /// What the file keeps.
  var numbers: [Int] { [list] + parts }

  /// Candidates that were compared.
  var count: Int { parts.count }
  var rejectedCount: Int { parts.count { $0 == 0 } }

  /// Adds the next candidate's time as a part of the usual way's; nil where its results are wrong.
  mutating func add(_ part: Double?) {
    parts.append(part.map { max(1, Int(min($0, 1e6) * Self.unit)) } ?? 0)
  }

  /// Positions of the candidates that compute right, and their times as parts of the usual way's.
  var ranking: [(position: Int, time: Double)] {
    parts.indices.filter { parts[$0] > 0 }.map { ($0, Double(parts[$0]) / Self.unit) }
  }
}

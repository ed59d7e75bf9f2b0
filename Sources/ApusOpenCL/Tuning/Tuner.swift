import ApusDevice
import COpenCL
import Dispatch

/// Finds faster ways to run operations on one device.
///
/// The plan of an operation says what there is to choose, the most promising by its estimate first. Each
/// candidate is compared with the reference and, everywhere, with the usual way, and only then timed. The
/// fastest meet the usual way in a last round of turns; one is kept only if the median of its turns beats
/// the usual way's by a margin and most turns agree. So a tuned operation is no slower than before, as far
/// as the clock can tell. Of several that are about as fast, the first by the estimate wins, and what an
/// earlier search kept stays unless it is beaten in the same way: searches repeat their results.
package struct Tuner {
  /// What became of one choice of an operation.
  package struct Outcome: Encodable, Sendable {
    package let operation: String
    /// What the choice depends on: extents, and for some how operands lie.
    package let sizes: [Int]
    /// Medians of the last turns, milliseconds.
    package let usual: Double
    package let best: Double
    /// The parameters that are kept from now on; nil where the usual ones are not beaten.
    package let choice: [Int]?
    package let tried: Int
    /// Candidates whose results were wrong or that failed: a fault of the driver.
    package let rejected: Int

    package var speedUp: Double { choice == nil ? 1 : usual / best }
  }

  /// The part of the usual time that a winner may take at most.
  static let margin = 0.95
  /// Candidates that are tried at most.
  private static let most = 64
  private let backend: OpenCLBackend
  private let oracle: any Backend

  /// - Parameter oracle: Computes slowly and right.
  package init(_ backend: OpenCLBackend, oracle: any Backend) {
    (self.backend, self.oracle) = (backend, oracle)
  }

  /// Tunes the choices of a job within so many seconds, one after the other, and keeps the winners.
  /// - Parameter again: Whether to search also where all candidates were tried before.
  package func tune(_ job: TuningJob, seconds: Double, again: Bool = false) throws -> [Outcome] {
    let end = now() + seconds
    var trial = try TuningTrial(job, on: backend)
    let entries = try trial.survey().filter {
      !$0.candidates.isEmpty && (again || !isSearched($0))
    }
    if entries.isEmpty { return [] }
    try trial.ask(oracle)
    var outcomes: [Outcome] = []
    for (position, entry) in entries.enumerated() {
      let share = max(end - now(), 0) / Double(entries.count - position)
      outcomes.append(try tune(trial, entry, seconds: share))
    }
    return outcomes
  }

  private func isSearched(_ entry: TuningSurvey.Entry) -> Bool {
    backend.tuning.choice(entry.key.search) == [min(entry.candidates.count, Self.most)]
  }

  private func tune(_ trial: TuningTrial, _ entry: TuningSurvey.Entry, seconds: Double) throws
    -> Outcome
  {
    let key = entry.key
    let deadline = now() + seconds
    let expected = try trial.result(key, nil)
    guard trial.agreesWithReference(expected) else {
      throw ApusError(
        .device, operation: "tune",
        "the usual kernels compute wrong numbers for \(key) on '\(backend.info.name)'; `apus selftest "
          + "--device \(backend.info.name)` tells more")
    }
    let repeats = try trial.repeats(key)
    var (tried, rejected) = (0, 0)
    var ranking: [(choice: [Int], time: Double)] = []
    for candidate in entry.candidates.prefix(Self.most) {
      if tried > 0 && now() > deadline - seconds / 4 { break }
      let choice = candidate.numbers
      tried += 1
      guard isRight(trial, key, choice, expected) else {
        rejected += 1
        continue
      }
      let time = try min(trial.time(key, choice, repeats), trial.time(key, choice, repeats))
      ranking.append((choice, time))
    }
    let finalists = Self.finalists(ranking.map(\.time)).map { ranking[$0].choice }
    let kept = backend.tuning.choice(key).flatMap { isRight(trial, key, $0, expected) ? $0 : nil }
    let contest = [nil, kept] + finalists.map(Optional.some)
    let times = try turns(trial, key, contest, repeats)
    var winner = Self.winner(
      usual: times[0], kept: kept == nil ? nil : times[1], others: Array(times.dropFirst(2)))
    if winner > 1 {
      // Who wins twice was not lucky.
      let again = try turns(trial, key, [contest[0], contest[1], contest[winner]], repeats)
      let second = Self.winner(
        usual: again[0], kept: kept == nil ? nil : again[1], others: [again[2]])
      if second != 2 { winner = second }
    }
    let choice = contest[winner]
    if choice != nil || backend.tuning.choice(key) != nil { try backend.tuning.record(key, choice) }
    if tried == min(entry.candidates.count, Self.most) {
      try backend.tuning.record(key.search, [tried])
    }
    return Outcome(
      operation: key.operation, sizes: key.sizes, usual: Self.median(times[0]) * 1e3,
      best: Self.median(times[winner]) * 1e3, choice: choice, tried: tried, rejected: rejected)
  }

  /// The lines of the database that hold the choices for a job, with what there is to choose from.
  package func choices(of job: TuningJob) throws -> [(key: TuningKey, choices: [[Int]])] {
    try TuningTrial(job, on: backend).survey()
      .map { ($0.key, $0.candidates.map(\.numbers)) }
  }

  /// Compares every candidate with the reference, without timing any.
  /// - Returns: All choices, and those that compute wrong numbers.
  package func check(_ job: TuningJob) throws -> (choices: [[Int]], wrong: [[Int]]) {
    var trial = try TuningTrial(job, on: backend)
    try trial.ask(oracle)
    var (all, wrong): ([[Int]], [[Int]]) = ([], [])
    for entry in try trial.survey() {
      let usual = try trial.result(entry.key, nil)
      if !trial.agreesWithReference(usual) { wrong.append([]) }
      for choice in entry.candidates.map(\.numbers) {
        all.append(choice)
        let result = try trial.result(entry.key, choice)
        if !trial.agreesWithReference(result) || !trial.agree(result, usual) {
          wrong.append(choice)
        }
      }
    }
    return (all, wrong)
  }

  /// Whether a job, run as everyone runs it, agrees with the reference.
  package func computesRight(_ job: TuningJob) throws -> Bool {
    var trial = try TuningTrial(job, on: backend)
    try trial.ask(oracle)
    return trial.agreesWithReference(try trial.result(TuningKey(operation: "", sizes: []), nil))
  }

  private func isRight(
    _ trial: TuningTrial, _ key: TuningKey, _ choice: [Int], _ expected: [[Float]]
  ) -> Bool {
    guard let result = try? trial.result(key, choice) else { return false }
    return trial.agreesWithReference(result) && trial.agree(result, expected)
  }

  /// Times of each in turns, each turn all of them.
  private func turns(_ trial: TuningTrial, _ key: TuningKey, _ contest: [[Int]?], _ repeats: Int)
    throws -> [[Double]]
  {
    var times = [[Double]](repeating: [], count: contest.count)
    for _ in 0..<9 {
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

extension OpenCLBackend {
  /// The file of what the tuner found on this device.
  package var tuningPath: String { tuning.path }
  package var tuningCount: Int { tuning.count }

  /// What tuning while running took so far, in seconds, and how many choices it is done with; nil where it
  /// is off.
  package var lightTuningCost: (total: Double, longest: Double, finished: Int)? {
    lightTuner.map { ($0.cost.total, $0.cost.longest, $0.finishedCount) }
  }

  /// Removes what the tuner found on this device.
  package func forgetTuning() throws { try tuning.removeAll() }
}

/// Seconds of a clock that only goes forward.
func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

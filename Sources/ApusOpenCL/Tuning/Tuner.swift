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
///
/// Budgets may be shorter than a search: how far it got is kept, and the next one goes on there.
package struct Tuner {
  /// What became of one choice of an operation.
  package struct Outcome: Encodable, Sendable {
    package let operation: String
    /// What the choice depends on: extents, and for some how operands lie.
    package let sizes: [Int]
    /// Milliseconds of the usual way and of what is kept: medians of the last turns. Of a search that was cut
    /// short before them, a single trial of the usual way, twice.
    package let usual: Double
    package let best: Double
    /// The parameters that are kept from now on; nil where the usual ones are not beaten.
    package let choice: [Int]?
    /// Candidates that were compared, in earlier parts of the search too, and how many there are.
    package let tried: Int
    package let candidates: Int
    /// Candidates whose results were wrong or that failed: a fault of the driver.
    package let rejected: Int
    /// Whether the search came to its end; else the next one goes on.
    package let isFinished: Bool

    package var speedUp: Double { choice == nil ? 1 : usual / best }
  }

  /// Candidates that are tried at most.
  static let most = 64
  let backend: OpenCLBackend
  let oracle: any Backend

  /// - Parameter oracle: Computes slowly and right.
  package init(_ backend: OpenCLBackend, oracle: any Backend) {
    (self.backend, self.oracle) = (backend, oracle)
  }

  /// Tunes jobs within so many seconds and keeps the winners; what a search before left half done comes first,
  /// then small jobs, for what they leave is what large ones need.
  ///
  /// At least one candidate is compared, however short the time is, where one is left. Finding out what there
  /// is to choose does not count.
  /// - Parameters:
  ///   - again: Whether to search anew what was searched before. What such a search left goes on first.
  ///   - note: Is told the number of each job from 1, and the job.
  /// - Returns: What was searched just now, and of how many jobs all searches are at their end.
  package func tune(
    _ jobs: [TuningJob], seconds: Double, again: Bool = false,
    note: (Int, TuningJob) -> Void = { _, _ in }
  ) throws -> (outcomes: [Outcome], finished: Int) {
    try backend.tuning.reload()
    let found = try jobs.sorted { $0.work < $1.work }.map { job in
      (job, try TuningTrial.survey(job, on: backend).filter { !$0.candidates.isEmpty })
    }
    if again { try reopen(found.flatMap(\.1)) }
    let open = found.filter { $0.1.contains { !isDone($0) } }
    let halfDone = open.filter { $0.1.contains { progress($0) != nil } }
    let order = halfDone + open.filter { !$0.1.contains { progress($0) != nil } }

    let end = now() + seconds
    var outcomes: [Outcome] = []
    for (position, (job, entries)) in order.enumerated() {
      if now() >= end && !outcomes.isEmpty { break }
      note(found.count - order.count + position + 1, job)
      let share = (end - now()) / Double(order.count - position)
      outcomes += try tune(job, entries, seconds: share, end: end)
    }
    return (outcomes, found.count { $0.1.allSatisfy(isDone) })
  }

  /// The same for one job.
  package func tune(_ job: TuningJob, seconds: Double, again: Bool = false) throws -> [Outcome] {
    try tune([job], seconds: seconds, again: again).outcomes
  }

  /// The choices of a job, those that are begun first.
  private func tune(
    _ job: TuningJob, _ entries: [TuningSurvey.Entry], seconds: Double, end: Double
  ) throws -> [Outcome] {
    // Other processes, and jobs before this one that meet the same choices, may have gone on meanwhile.
    try backend.tuning.reload()
    let open = entries.filter { !isDone($0) }
    if open.isEmpty { return [] }
    var trial = try TuningTrial(job, on: backend)
    try trial.ask(oracle)
    var outcomes: [Outcome] = []
    let begun = open.filter { progress($0) != nil } + open.filter { progress($0) == nil }
    for entry in begun {
      if now() >= end && !outcomes.isEmpty { break }
      outcomes.append(
        try search(trial, entry, seconds: seconds / Double(open.count), end: end))
    }
    return outcomes
  }

  private func isDone(_ entry: TuningSurvey.Entry) -> Bool {
    isSearched(entry) && progress(entry) == nil
  }

  private func isSearched(_ entry: TuningSurvey.Entry) -> Bool {
    backend.tuning.choice(entry.key.search) == [entry.choices.count]
  }

  private func progress(_ entry: TuningSurvey.Entry) -> TuningProgress? {
    TuningProgress(backend.tuning.choice(entry.key.progress), of: entry.choices)
  }

  /// Begins the searches anew that came to their end, unless such a second search is under way: then that
  /// one goes on, so that it ends however often it is cut.
  private func reopen(_ entries: [TuningSurvey.Entry]) throws {
    let ended = entries.filter(isSearched)
    guard !ended.isEmpty, ended.allSatisfy(isDone) else { return }
    try backend.tuning.update { all in
      for entry in ended { all[entry.key.progress] = TuningProgress(entry.choices).numbers }
    }
  }
}

extension TuningSurvey.Entry {
  /// The candidates that a search goes through.
  var choices: [[Int]] { candidates.prefix(Tuner.most).map(\.numbers) }
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

  /// Whether what a tuner finds could be kept, asked before it searches.
  /// - Throws: `ApusError` naming what cannot be read or written.
  package func requireTuningFile() throws {
    try tuning.reload()
    try tuning.requireWritable()
  }
}

/// Seconds of a clock that only goes forward.
func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

import ApusDevice
import COpenCL
import Dispatch
import Synchronization

/// Tunes operations while a program runs: a few milliseconds now and then, never other results.
///
/// Only ways that add the same terms in the same order by programs that are built already are tried, and
/// one is taken only if it gives the very same bits. A trial runs the usual way and a candidate once each,
/// apart from the program's own work. Trials last at most ``bound`` and are ``pause`` times their own length
/// apart, so in any stretch of time they take a twentieth of it and one trial more. Operations of which
/// ``reserve`` runs would not fit the bound are left alone; one whose trial took longer than the bound
/// for another reason (the processor was taken away) is never tried again.
///
/// `APUS_TUNE=light` switches it on.
final class LightTuner: Sendable {
  /// Seconds that one trial may delay a step.
  static let bound = 0.02
  static let pause = 20.0
  /// Two runs, of which one may be several times as slow as usual, and two reads.
  static let reserve = 8.0
  /// Turns of each candidate.
  private static let turns = 5
  /// Operations that are asked for less often are not worth it.
  private static let firstUse = 10
  /// Candidates of a choice.
  private static let most = 6
  /// Elements of the results that are compared.
  private static let largest = 1 << 20

  private struct Search {
    var uses = 0
    var isOver = false
    /// Seconds of the usual way, nil until measured.
    var usual: Double?
    /// The choices that the operation meets, and candidates; those before `position` are done.
    var candidates: [(key: TuningKey, choice: [Int])] = []
    var position = 0
    var times: (usual: [Double], candidate: [Double]) = ([], [])
    var best: [TuningKey: (choice: [Int], ratio: Double)] = [:]
  }

  private struct State {
    var searches: [TuningJob: Search] = [:]
    var nextTrial = 0.0
    var spent = 0.0
    var longest = 0.0
  }

  private enum Step {
    case measureUsual
    case trial(TuningKey, [Int])
  }

  private let state = Mutex(State())

  /// Seconds that all trials took, and the longest of them.
  var cost: (total: Double, longest: Double) { state.withLock { ($0.spent, $0.longest) } }

  /// Operations whose candidates have all been tried, or are not worth a trial.
  var finishedCount: Int { state.withLock { $0.searches.values.filter(\.isOver).count } }

  /// Runs the command, and perhaps a trial behind it.
  func run(_ command: Command, on backend: OpenCLBackend) throws {
    guard TuningScope.current == nil, let job = TuningJob(command), let step = next(job) else {
      return try backend.attempt(command)
    }
    switch step {
    case .measureUsual:
      // The program's own work, awaited: nothing is done twice.
      let survey = TuningSurvey()
      try backend.runtime.drain()
      let start = now()
      try backend.within(.survey(survey)) { try backend.attempt(command) }
      try backend.runtime.drain()
      begin(job, survey.found, usual: now() - start, backend)
    case .trial(let key, let choice):
      try backend.attempt(command)
      try backend.runtime.drain()
      let start = now()
      let result = try? compare(command, key, choice, backend)
      finish(job, key, choice, result, from: start, on: backend)
    }
  }

  private func next(_ job: TuningJob) -> Step? {
    state.withLock { state in
      var search = state.searches[job] ?? Search()
      defer { state.searches[job] = search }
      search.uses += 1
      guard !search.isOver, search.uses >= Self.firstUse, now() >= state.nextTrial else {
        return nil
      }
      if search.usual == nil { return .measureUsual }
      let (key, choice) = search.candidates[search.position]
      return .trial(key, choice)
    }
  }

  private func begin(
    _ job: TuningJob, _ found: [TuningSurvey.Entry], usual: Double, _ backend: OpenCLBackend
  ) {
    // What is tuned already stays as it is.
    let candidates = found.filter { !backend.tuning.isKnown($0.key) }.flatMap { entry in
      entry.candidates.filter(\.isAlike).prefix(Self.most).map { (entry.key, $0.numbers) }
    }
    let elements = job.outputs.map(\.layout.count).reduce(0, +)
    state.withLock { state in
      var search = state.searches[job] ?? Search()
      search.usual = usual
      search.candidates = candidates
      search.isOver =
        candidates.isEmpty || Self.reserve * usual > Self.bound || elements > Self.largest
      state.searches[job] = search
    }
  }

  /// Seconds of both, nil where their bits differ.
  private func compare(
    _ command: Command, _ key: TuningKey, _ choice: [Int], _ backend: OpenCLBackend
  ) throws -> (usual: Double, candidate: Double)? {
    func run(_ choice: [Int]?) throws -> (Double, [[UInt8]]) {
      let outputs = try command.outputs.map { output in
        let room = try backend.allocate(byteCount: output.layout.end * output.dtype.byteCount)
        let operand = Operand(storage: room, dtype: output.dtype, layout: output.layout)
        // Between the elements of a view lies what the allocation held before.
        if output.layout.count != output.layout.end {
          try backend.fill(
            0, operand.with(Layout(contiguous: [output.layout.end])))
        }
        return operand
      }
      try backend.runtime.drain()
      let start = now()
      try backend.within(.choose(key, choice)) {
        try backend.attempt(Command(command.operation, inputs: command.inputs, outputs: outputs))
      }
      try backend.runtime.drain()
      let seconds = now() - start
      let bytes = try outputs.map { output in
        var bytes = [UInt8](repeating: 0, count: output.layout.end * output.dtype.byteCount)
        try bytes.withUnsafeMutableBytes {
          try backend.download(output.storage, byteOffset: 0, into: $0)
        }
        return bytes
      }
      return (seconds, bytes)
    }
    let (usual, candidate) = (try run(nil), try run(choice))
    return usual.1 == candidate.1 ? (usual.0, candidate.0) : nil
  }

  private func finish(
    _ job: TuningJob, _ key: TuningKey, _ choice: [Int],
    _ result: (usual: Double, candidate: Double)?, from start: Double, on backend: OpenCLBackend
  ) {
    let seconds = now() - start
    let winners: [TuningKey: [Int]] = state.withLock { state in
      state.spent += seconds
      state.longest = max(state.longest, seconds)
      state.nextTrial = now() + Self.pause * seconds
      var search = state.searches[job] ?? Search()
      defer { state.searches[job] = search }
      // Another thread may have gone on meanwhile.
      guard !search.isOver, search.candidates[search.position] == (key, choice) else { return [:] }
      if seconds > Self.bound {
        search.isOver = true
        return search.best.mapValues(\.choice)
      }
      if let result {
        search.times.usual.append(result.usual)
        search.times.candidate.append(result.candidate)
        if search.times.usual.count < Self.turns { return [:] }
        let (usual, candidate) = (search.times.usual, search.times.candidate)
        if Tuner.winner(usual: usual, kept: nil, others: [candidate]) != 0 {
          let ratio = Tuner.median(candidate) / Tuner.median(usual)
          if ratio < search.best[key]?.ratio ?? 1 { search.best[key] = (choice, ratio) }
        }
      }
      search.times = ([], [])
      search.position += 1
      if search.position < search.candidates.count { return [:] }
      search.isOver = true
      return search.best.mapValues(\.choice)
    }
    guard !winners.isEmpty else { return }
    for (key, choice) in winners { backend.tuning.adopt(key, choice) }
    // Writing waits for the disk, which no step should.
    let table = backend.tuning
    DispatchQueue.global(qos: .utility).async {
      try? table.update { all in
        // What another process found meanwhile stays.
        for (key, choice) in winners where all[key] == nil && all[key.search] == nil {
          all[key] = choice
        }
      }
    }
  }
}

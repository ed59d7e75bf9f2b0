import ApusDevice
import COpenCL
import Dispatch
import Synchronization

/// Tunes products while a program runs: a few milliseconds now and then, never other results.
///
/// Only blocks that add the terms in the same order are tried (the same slices, uncut as before, and a
/// kernel that is built already), and one is taken only if it gives the very same bits. A trial runs the
/// usual blocks and a candidate once each, apart from the program's own work. Trials last at most
/// ``bound`` and are ``pause`` times their own length apart, so in any stretch of time they take a
/// twentieth of it and one trial more.
///
/// `APUS_TUNE=light` switches it on.
final class LightTuner: Sendable {
  /// Seconds that one trial may delay a step.
  static let bound = 0.02
  static let pause = 20.0
  /// Turns of each candidate.
  private static let turns = 5
  /// Products that are asked for less often are not worth it.
  private static let firstUse = 10

  private struct Search {
    var uses = 0
    var isOver = false
    /// Seconds of the usual blocks, nil until measured.
    var usual: Double?
    var candidates: [GemmChoice] = []
    var position = 0
    var times: (usual: [Double], candidate: [Double]) = ([], [])
    var best: (choice: GemmChoice, ratio: Double)?
  }

  private struct State {
    var searches: [TuningKey: Search] = [:]
    var nextTrial = 0.0
    var spent = 0.0
    var longest = 0.0
  }

  private enum Step {
    case measureUsual
    case trial(GemmChoice)
  }

  private let state = Mutex(State())

  /// Seconds that all trials took, and the longest of them.
  var cost: (total: Double, longest: Double) { state.withLock { ($0.spent, $0.longest) } }

  /// Products whose candidates have all been tried, or are not worth a trial.
  var finishedCount: Int { state.withLock { $0.searches.values.filter(\.isOver).count } }

  /// Runs the product, and perhaps a trial behind it.
  func run(
    _ problem: GemmProblem, _ key: TuningKey, on backend: OpenCLBackend,
    _ multiply: (GemmProblem, GemmPlan, _ out: cl_mem?) throws -> Void
  ) throws {
    let plan = GemmPlan(problem, on: backend.description)
    guard let step = next(problem, key, plan, backend.description) else {
      return try multiply(problem, plan, nil)
    }
    switch step {
    case .measureUsual:
      // The program's own work, awaited: nothing is done twice.
      try backend.runtime.drain()
      let start = now()
      try multiply(problem, plan, nil)
      try backend.runtime.drain()
      note(key) { $0.usual = now() - start }
    case .trial(let choice):
      try multiply(problem, plan, nil)
      try backend.runtime.drain()
      let start = now()
      let result = try? compare(problem, plan, choice, backend, multiply)
      finish(key, choice, result, from: start, on: backend)
    }
  }

  private func next(
    _ problem: GemmProblem, _ key: TuningKey, _ plan: GemmPlan,
    _ device: OpenCLDeviceDescription
  ) -> Step? {
    state.withLock { state in
      var search = state.searches[key] ?? Search()
      defer { state.searches[key] = search }
      search.uses += 1
      guard !search.isOver, search.uses >= Self.firstUse, now() >= state.nextTrial else {
        return nil
      }
      guard let usual = search.usual else { return .measureUsual }
      // Two runs, two reads, and a reserve.
      if 6 * usual > Self.bound || problem.m * problem.n > 1 << 20 || problem.batch > 1 {
        search.isOver = true
        return nil
      }
      if search.candidates.isEmpty && search.position == 0 {
        search.candidates = Array(
          GemmPlan.candidates(problem, on: device).filter {
            let other = GemmPlan(problem, on: device, choice: $0)
            return other.kernel == plan.kernel && other.arguments.depth == plan.arguments.depth
              && other.arguments.parts == plan.arguments.parts && !other.isSame(as: plan)
          }.prefix(6))
      }
      guard search.candidates.indices.contains(search.position) else {
        search.isOver = true
        return nil
      }
      return .trial(search.candidates[search.position])
    }
  }

  private func note(_ key: TuningKey, _ change: (inout Search) -> Void) {
    state.withLock { state in
      var search = state.searches[key] ?? Search()
      change(&search)
      state.searches[key] = search
    }
  }

  /// Seconds of both, nil where their bits differ.
  private func compare(
    _ problem: GemmProblem, _ plan: GemmPlan, _ choice: GemmChoice, _ backend: OpenCLBackend,
    _ multiply: (GemmProblem, GemmPlan, cl_mem?) throws -> Void
  ) throws -> (usual: Double, candidate: Double)? {
    var apart = problem
    apart.out = MatrixView(rowStep: problem.n, columnStep: 1)
    func run(_ choice: GemmChoice?) throws -> (Double, [UInt8]) {
      let out = try backend.temporary([problem.m, problem.n])
      let start = now()
      try multiply(
        apart, GemmPlan(apart, on: backend.description, choice: choice), try backend.buffer(out))
      try backend.runtime.drain()
      let seconds = now() - start
      var bytes = [UInt8](repeating: 0, count: 4 * problem.m * problem.n)
      try bytes.withUnsafeMutableBytes {
        try backend.download(out.storage, byteOffset: 0, into: $0)
      }
      return (seconds, bytes)
    }
    let (usual, candidate) = (try run(nil), try run(choice))
    return usual.1 == candidate.1 ? (usual.0, candidate.0) : nil
  }

  private func finish(
    _ key: TuningKey, _ choice: GemmChoice, _ result: (usual: Double, candidate: Double)?,
    from start: Double, on backend: OpenCLBackend
  ) {
    let seconds = now() - start
    let winner: GemmChoice? = state.withLock { state in
      state.spent += seconds
      state.longest = max(state.longest, seconds)
      state.nextTrial = now() + Self.pause * seconds
      var search = state.searches[key] ?? Search()
      defer { state.searches[key] = search }
      if let result {
        search.times.usual.append(result.usual)
        search.times.candidate.append(result.candidate)
        if search.times.usual.count < Self.turns { return nil }
        if Tuner.winner(usual: search.times.usual, others: [search.times.candidate]) != nil {
          let ratio = Tuner.median(search.times.candidate) / Tuner.median(search.times.usual)
          if ratio < search.best?.ratio ?? 1 { search.best = (choice, ratio) }
        }
      }
      search.times = ([], [])
      search.position += 1
      if search.position < search.candidates.count { return nil }
      search.isOver = true
      return search.best?.choice
    }
    guard let winner else { return }
    backend.tuning.adopt(key, winner.numbers)
    // Writing waits for the disk, which no step should.
    let table = backend.tuning
    DispatchQueue.global(qos: .utility).async { try? table.record(key, winner.numbers) }
  }
}

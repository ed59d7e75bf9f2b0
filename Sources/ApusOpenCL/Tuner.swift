import ApusDevice
import COpenCL
import Dispatch

/// Finds faster ways to run operations on one device.
///
/// The candidates of an operation come in the order of an estimate. Each is compared with the reference
/// (sums in Double on the host) and, everywhere, with the usual way, and only then timed. The fastest
/// meet the usual way in a last round of turns; one is kept only if the median of its turns beats the
/// usual way's by a margin and most turns agree. So a tuned operation is no slower than before, as far as
/// the clock can tell.
package struct Tuner {
  /// What became of an operation.
  package struct Outcome: Encodable, Sendable {
    package let operation: String
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
  static let margin = 0.97
  private let backend: OpenCLBackend

  package init(_ backend: OpenCLBackend) { self.backend = backend }

  /// A product `[m, k] · [k, n]`, with operands as a layer has them.
  package struct Product: Sendable, Hashable {
    package enum Order: String, Sendable {
      /// Both row-major.
      case plain
      /// The second operand is a weight `[n, k]`: a layer's forward pass.
      case weight
      /// The first operand is `[k, m]`: the gradient of a weight.
      case gradient
    }

    package let m, n, k: Int
    package let order: Order

    package init(_ m: Int, _ n: Int, _ k: Int, _ order: Order) {
      (self.m, self.n, self.k, self.order) = (m, n, k, order)
    }
  }

  /// Tunes a product within so many seconds and keeps the winner.
  package func tune(_ product: Product, seconds: Double) throws -> Outcome {
    let trial = try GemmTrial(product, on: backend)
    let deadline = now() + seconds
    let key = trial.problem.tuningKey
    let usual = GemmPlan(trial.problem, on: backend.description)
    try trial.run(usual)
    let expected = try trial.result()
    guard trial.agreesWithReference(expected) else {
      throw ApusError(
        .device, operation: "tune",
        "the usual kernel for gemm \(product.m)x\(product.n)x\(product.k) computes wrong numbers on "
          + "'\(backend.info.name)'; `apus selftest --device \(backend.info.name) --filter gemm` tells more"
      )
    }
    let repeats = try trial.repeats(usual)
    var (tried, rejected) = (0, 0)
    var ranking: [(choice: GemmChoice, plan: GemmPlan, time: Double)] = []
    for choice in GemmPlan.candidates(trial.problem, on: backend.description).prefix(64) {
      if tried > 0 && now() > deadline - seconds / 4 { break }
      let plan = GemmPlan(trial.problem, on: backend.description, choice: choice)
      if plan.isSame(as: usual) { continue }
      tried += 1
      guard (try? trial.run(plan)) != nil, let result = try? trial.result(),
        trial.agreesWithReference(result), trial.agree(result, expected)
      else {
        rejected += 1
        continue
      }
      let time = try min(trial.time(plan, repeats), trial.time(plan, repeats))
      ranking.append((choice, plan, time))
    }
    ranking.sort { $0.time < $1.time }
    let finalists = Array(ranking.prefix(3))
    let (usualTime, winner) = try decide(trial, usual, finalists.map(\.plan), repeats)
    let choice = winner.map { finalists[$0.index].choice.numbers }
    if choice != nil || backend.tuning.choice(key) != nil { try backend.tuning.record(key, choice) }
    return Outcome(
      operation: "gemm \(product.order.rawValue)", sizes: [product.m, product.n, product.k],
      usual: usualTime * 1e3, best: (winner?.time ?? usualTime) * 1e3, choice: choice, tried: tried,
      rejected: rejected)
  }

  /// The line of the database that holds the choice for a product.
  package func key(of product: Product) throws -> TuningKey {
    try GemmTrial(product, on: backend).problem.tuningKey
  }

  /// Compares every candidate with the reference, without timing any.
  /// - Returns: All choices, and those that compute wrong numbers.
  package func check(_ product: Product) throws -> (choices: [[Int]], wrong: [[Int]]) {
    let trial = try GemmTrial(product, on: backend)
    let candidates = GemmPlan.candidates(trial.problem, on: backend.description)
    let wrong = try candidates.filter { choice in
      try trial.run(GemmPlan(trial.problem, on: backend.description, choice: choice))
      return !trial.agreesWithReference(try trial.result())
    }
    return (candidates.map(\.numbers), wrong.map(\.numbers))
  }

  /// Turns of the usual plan and the finalists, each turn all of them.
  private func decide(
    _ trial: GemmTrial, _ usual: GemmPlan, _ finalists: [GemmPlan], _ repeats: Int
  ) throws -> (usual: Double, winner: (index: Int, time: Double)?) {
    let turns = 9
    var times = [[Double]](repeating: [], count: finalists.count + 1)
    for _ in 0..<turns {
      for (index, plan) in ([usual] + finalists).enumerated() {
        times[index].append(try trial.time(plan, repeats))
      }
    }
    let winner = Self.winner(usual: times[0], others: Array(times.dropFirst()))
    return (Self.median(times[0]), winner.map { ($0, Self.median(times[$0 + 1])) })
  }

  /// Which of the others is the fastest, if it beats the usual way by the margin and in nearly all turns.
  package static func winner(usual: [Double], others: [[Double]]) -> Int? {
    var winner: (index: Int, time: Double)?
    for (index, times) in others.enumerated() {
      let time = median(times)
      let won = zip(times, usual).filter { $0 < $1 }.count
      guard time <= median(usual) * margin, won >= usual.count - usual.count / 4,
        time < winner?.time ?? .infinity
      else { continue }
      winner = (index, time)
    }
    return winner?.index
  }

  static func median(_ values: [Double]) -> Double {
    values.isEmpty ? .infinity : values.sorted()[values.count / 2]
  }
}

extension Tuner {
  /// Products of common sizes: square ones, and the three of a layer for usual widths and batches.
  package static let usualProducts: [Product] = {
    var all = [
      Product(256, 256, 256, .plain), Product(512, 512, 512, .plain),
      Product(1024, 1024, 1024, .plain), Product(128, 512, 784, .plain),
    ]
    for (inputs, outputs) in [(784, 512), (512, 512), (512, 10), (256, 128)] {
      for rows in [1, 32, 64, 128] {
        all.append(Product(rows, outputs, inputs, .weight))
        all.append(Product(rows, inputs, outputs, .plain))
        all.append(Product(outputs, inputs, rows, .gradient))
      }
    }
    return all.filter { $0.m > 1 && $0.n > 1 && $0.k > 1 }
  }()
}

extension OpenCLBackend {
  /// The file of what the tuner found on this device.
  package var tuningPath: String { tuning.path }
  package var tuningCount: Int { tuning.count }

  /// What tuning while running took so far, in seconds, and how many products it is done with; nil where
  /// it is off.
  package var lightTuningCost: (total: Double, longest: Double, finished: Int)? {
    lightTuner.map { ($0.cost.total, $0.cost.longest, $0.finishedCount) }
  }

  /// Removes what the tuner found on this device.
  package func forgetTuning() throws { try tuning.removeAll() }
}

/// Seconds of a clock that only goes forward.
func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

extension GemmPlan {
  func isSame(as other: GemmPlan) -> Bool {
    kernel == other.kernel && isTransposed == other.isTransposed
      && arguments.rows == other.arguments.rows && arguments.columns == other.arguments.columns
      && arguments.depth == other.arguments.depth && arguments.parts == other.arguments.parts
      && arguments.packsS == other.arguments.packsS
  }
}

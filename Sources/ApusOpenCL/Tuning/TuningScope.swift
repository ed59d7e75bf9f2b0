import Synchronization

/// One way to compute an operation: the numbers that its plan reads.
package struct TuningCandidate: Hashable, Sendable {
  package let numbers: [Int]
  /// Whether it adds the same terms in the same order by a program that the usual way has built, so that
  /// it may be tried in the middle of a run.
  package let isAlike: Bool

  package init(_ numbers: [Int], isAlike: Bool) {
    self.numbers = numbers
    self.isAlike = isAlike
  }
}

/// What tuning asks of the operations that the same thread starts.
enum TuningScope: Sendable {
  /// Notes what there is to choose.
  case survey(TuningSurvey)
  /// Computes one of them in a given way; nil stands for the usual way.
  case choose(TuningKey, [Int]?)

  @TaskLocal static var current: TuningScope?
}

/// The choices that operations met, in their order.
final class TuningSurvey: Sendable {
  struct Entry: Sendable {
    let key: TuningKey
    let candidates: [TuningCandidate]
  }

  private let entries = Mutex<[Entry]>([])
  var found: [Entry] { entries.withLock { $0 } }

  func note(_ key: TuningKey, _ candidates: () -> [TuningCandidate]) {
    if found.contains(where: { $0.key == key }) { return }
    let entry = Entry(key: key, candidates: candidates())
    entries.withLock { $0.append(entry) }
  }
}

extension OpenCLBackend {
  /// The parameters of a plan that differ from the usual ones: as a tuner found, or as it tries just now.
  /// - Parameter candidates: What a tuner may choose from, the most promising first and without the usual
  ///   way.
  @inline(__always)
  func tuned(_ key: @autoclosure () -> TuningKey, _ candidates: () -> [TuningCandidate]) -> [Int]? {
    if tuning.isIdle { return nil }
    return tuning.chosen(key(), candidates)
  }

  /// Runs a body whose operations note their choices, or take a given one.
  func within<T>(_ scope: TuningScope, _ body: () throws -> T) rethrows -> T {
    tuning.enterScope()
    defer { tuning.leaveScope() }
    return try TuningScope.$current.withValue(scope, operation: body)
  }
}

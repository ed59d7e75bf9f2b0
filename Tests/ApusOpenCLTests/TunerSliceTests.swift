import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

/// Searches that their budget cuts short.
@Suite struct TunerSliceTests {
  private static let small = TuningJob.product(6, 20, 30)
  private static let large = TuningJob.layer(rows: 24, outputs: 40, inputs: 72)

  private func tuner(_ device: OpenCLBackend) -> Tuner { Tuner(device, oracle: ReferenceBackend()) }

  private func key(_ outcome: Tuner.Outcome) -> TuningKey {
    TuningKey(operation: outcome.operation, sizes: outcome.sizes)
  }

  /// The shortest budget compares a candidate in each call, and forgets nothing.
  @Test func anyBudgetComesToTheEnd() throws {
    let fresh = TunerTests.Fresh()
    let device = try fresh.open(.cpu)
    let jobs = [Self.large, Self.small]
    var tried: [TuningKey: Int] = [:]
    var finished: Set<TuningKey> = []
    var known: [TuningKey: [Int]] = [:]
    // A contest each, and a call that has nothing left.
    for call in 0...2 * (64 + 1) {
      let (outcomes, count) = try tuner(device).tune(jobs, seconds: 1e-9)
      let now = try TuningTable.read(device.tuning.path).entries
      if outcomes.isEmpty {
        #expect(count == 2 && finished.count == 2 && call > 2)
        let ends = Set(finished.map(\.search))
        #expect(now == known && now.keys.allSatisfy { $0.isChoice || ends.contains($0) })
        return
      }
      try #require(outcomes.count == 1)
      let key = key(outcomes[0])
      #expect(!finished.contains(key) && outcomes[0].rejected == 0)
      #expect(outcomes[0].isFinished == (tried[key] == outcomes[0].candidates))
      #expect(outcomes[0].tried == (tried[key] ?? 0) + (outcomes[0].isFinished ? 0 : 1))
      tried[key] = outcomes[0].tried
      if outcomes[0].isFinished { finished.insert(key) }
      #expect(outcomes[0].isFinished == (now[key.progress] == nil))
      // What this call was not about is as it was.
      let touched = [key, key.search, key.progress]
      #expect(
        known.filter { !touched.contains($0.key) } == now.filter { !touched.contains($0.key) })
      known = now
    }
    Issue.record("the search never ended")
  }

  /// What is half done goes on before what is not begun, though that is smaller.
  @Test func halfDoneComesFirst() throws {
    let fresh = TunerTests.Fresh()
    let device = try fresh.open(.cpu)
    let begun = try tuner(device).tune(Self.large, seconds: 0)
    #expect(begun.map(\.tried) == [1] && !begun[0].isFinished)
    let next = try tuner(try fresh.open(.cpu)).tune([Self.small, Self.large], seconds: 0)
    #expect(next.outcomes.map(key) == begun.map(key) && next.outcomes[0].tried == 2)
    #expect(next.finished == 0)
  }

  /// A choice is forgotten by a search at its end at most.
  @Test func cutSearchesKeepTheChoice() throws {
    let fresh = TunerTests.Fresh()
    let device = try fresh.open(.cpu)
    let (key, choices) = try #require(try tuner(device).choices(of: Self.large).first)
    // The last by the estimate: likely slower than the usual way.
    let kept = try #require(choices.last)
    try device.tuning.record(key, kept)
    for _ in 0..<4 {
      let outcomes = try tuner(device).tune(Self.large, seconds: 0)
      #expect(outcomes.map(\.choice) == [kept] && device.tuning.choice(key) == kept)
    }
    #expect(try TuningTable.read(device.tuning.path).entries[key] == kept)
  }

  /// Lines about other candidates, and nonsense, count as nothing compared.
  @Test func strangeProgressIsIgnored() throws {
    let fresh = TunerTests.Fresh()
    let device = try fresh.open(.cpu)
    let key = try #require(try tuner(device).choices(of: Self.large).first?.key)
    _ = try tuner(device).tune(Self.large, seconds: 0)
    let good = try #require(device.tuning.choice(key.progress))
    #expect(good.count == 2)
    for line in [
      [good[0] &+ 1, good[1]], [1], [good[0], -5], [good[0], good[1], .min],
      [good[0]] + [Int](repeating: good[1], count: 100_000),
    ] {
      try device.tuning.record(key.progress, line)
      #expect(try tuner(device).tune(Self.large, seconds: 0).map(\.tried) == [1], "\(line.count)")
    }
    try device.tuning.record(key.progress, [good[0], .max])
    #expect(try tuner(device).tune(Self.large, seconds: 0).map(\.tried) == [2])
  }

  /// A second search may be cut too, is the same search however it is asked for, and ends.
  @Test func secondSearchesGoOn() throws {
    let fresh = TunerTests.Fresh()
    let device = try fresh.open(.cpu)
    let jobs = [Self.large, Self.small]
    #expect(try tuner(device).tune(jobs, seconds: 600).finished == 2)
    var count = 0
    for call in 0..<2 * (64 + 1) {
      let (outcomes, finished) = try tuner(device).tune(
        jobs, seconds: 1e-9, again: call == 0 || call % 3 == 1)
      count += outcomes.count { $0.isFinished }
      let entries = try TuningTable.read(device.tuning.path).entries
      #expect(entries.keys.count { $0.operation.hasPrefix("searched:") } == 2)
      if finished == 2 { break }
    }
    #expect(count == 2)
  }
}

import ApusData
import ApusDevice
import Foundation
import Synchronization
import Testing

struct PrefetcherTests {
  private final class Counter: Sendable {
    let value = Atomic(0)
    func next() -> Int { value.add(1, ordering: .relaxed).newValue }
    var count: Int { value.load(ordering: .relaxed) }
  }

  @Test(arguments: [0, 1, 2, 4, 40]) func handsOutInOrder(workers: Int) throws {
    for count in [0, 1, 3, 200] {
      let prefetcher = Prefetcher<Int>(count: count, workers: workers) { index, scratch in
        // Threads overtake each other.
        if index % 7 == 0 { Thread.sleep(forTimeInterval: 1e-4) }
        scratch.append(1)
        return index
      }
      for index in 0..<count { #expect(try prefetcher.next() == index) }
      #expect(try prefetcher.next() == nil)
      #expect(try prefetcher.next() == nil)
    }
  }

  /// The queue is bounded: nothing is made far ahead of its use.
  @Test func staysWithinItsQueue() throws {
    let made = Counter()
    let prefetcher = Prefetcher<Int>(count: 1000, workers: 2) { index, _ in
      _ = made.next()
      return index
    }
    for taken in 0..<20 {
      Thread.sleep(forTimeInterval: 2e-3)
      #expect(made.count <= taken + 4)
      #expect(try prefetcher.next() == taken)
    }
    prefetcher.cancel()
    #expect(try prefetcher.next() == nil)
    #expect(made.count <= 24)
  }

  @Test(arguments: [0, 1, 3]) func throwsWhereTheItemWouldCome(workers: Int) throws {
    let made = Counter()
    let prefetcher = Prefetcher<Int>(count: 1000, workers: workers) { index, _ in
      _ = made.next()
      if index >= 5 { throw ApusError(.data, operation: "item \(index)", "is bad") }
      return index
    }
    for index in 0..<5 { #expect(try prefetcher.next() == index) }
    let error = #expect(throws: ApusError.self) { try prefetcher.next() }
    #expect(error?.operation == "item 5")
    #expect(try prefetcher.next() == nil)
    #expect(made.count < 20)
  }

  /// Freed in the middle of an epoch, its threads end first.
  @Test func endsWithItsOwner() throws {
    let alive = Counter()
    for _ in 0..<50 {
      let prefetcher = Prefetcher<Int>(count: 100, workers: 3) { [alive] index, _ in
        _ = alive.next()
        return index
      }
      #expect(try prefetcher.next() == 0)
    }
    let count = alive.count
    Thread.sleep(forTimeInterval: 5e-3)
    #expect(alive.count == count)
  }
}

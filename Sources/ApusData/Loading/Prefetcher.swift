import ApusDevice
import Dispatch
import Foundation
import Synchronization

/// Makes items `0..<count` ahead of their use, on threads of its own, and hands them out in order.
///
/// At most `capacity` items are made or ready at a time. A failure is thrown where its item would have
/// come; the threads end with the items, with a failure, or when the prefetcher is cancelled or freed.
package final class Prefetcher<Item: Sendable>: Sendable {
  /// Makes one item; the memory is the thread's own, for reuse from item to item.
  package typealias Maker = @Sendable (_ index: Int, _ scratch: inout [Float]) throws -> Item

  private let shared: Shared
  private let workers: Int

  /// - Parameter workers: Threads; 0 makes each item when it is asked for.
  package init(count: Int, workers: Int, make: @escaping Maker) {
    self.workers = min(workers, count)
    shared = Shared(count: count, capacity: 2 * max(workers, 1), make: make)
    for _ in 0..<self.workers {
      shared.ended.enter()
      let thread = Thread { [shared] in shared.work() }
      thread.name = "apus-loader"
      thread.start()
    }
  }

  deinit { cancel() }

  /// The next item; nil after the last one and after cancelling. For one caller at a time.
  package func next() throws -> Item? {
    guard let index = shared.beginTaking() else { return nil }
    if workers == 0 { return try shared.makeNow(index) }
    shared.full[index % shared.full.count].wait()
    do {
      return try shared.take(index)?.get()
    } catch {
      cancel()
      throw error
    }
  }

  /// Makes no further items and waits for those being made.
  package func cancel() {
    shared.cancel()
    shared.ended.wait()
  }
}

extension Prefetcher {
  /// What the threads hold; they do not hold the prefetcher, whose end is theirs.
  private final class Shared: Sendable {
    private struct State {
      /// The next item to make, and the next to hand out.
      var toMake = 0
      var toTake = 0
      var isCancelled = false
      var slots: [Result<Item, any Error>?]
    }

    private let state: Mutex<State>
    private let count: Int
    private let make: Maker
    /// Counts the slots that no item has or waits for.
    private let free = DispatchSemaphore(value: 0)
    /// For each slot, whether its item is made.
    let full: [DispatchSemaphore]
    let ended = DispatchGroup()

    init(count: Int, capacity: Int, make: @escaping Maker) {
      self.count = count
      self.make = make
      state = Mutex(State(slots: Array(repeating: nil, count: capacity)))
      full = (0..<capacity).map { _ in DispatchSemaphore(value: 0) }
      // Raised here and not at birth: a semaphore must not be freed below its first value.
      for _ in 0..<capacity { free.signal() }
    }

    func work() {
      var scratch: [Float] = []
      while true {
        free.wait()
        guard let index = draw() else {
          // Whoever waits beside this thread has nothing to do either.
          free.signal()
          break
        }
        let result = Result { try make(index, &scratch) }
        store(result, index)
        full[index % full.count].signal()
      }
      ended.leave()
    }

    private func draw() -> Int? {
      state.withLock { state in
        guard !state.isCancelled, state.toMake < count else { return nil }
        defer { state.toMake += 1 }
        return state.toMake
      }
    }

    private func store(_ result: Result<Item, any Error>, _ index: Int) {
      state.withLock { state in
        state.slots[index % full.count] = result
        // What comes after a failure is not asked for.
        if case .failure = result { state.toMake = count }
      }
    }

    func beginTaking() -> Int? {
      state.withLock { state in
        guard !state.isCancelled, state.toTake < count else { return nil }
        defer { state.toTake += 1 }
        return state.toTake
      }
    }

    func take(_ index: Int) -> Result<Item, any Error>? {
      let result = state.withLock { state in
        let slot = index % full.count
        defer { state.slots[slot] = nil }
        return state.slots[slot]
      }
      free.signal()
      return result
    }

    func makeNow(_ index: Int) throws -> Item {
      var scratch: [Float] = []
      return try make(index, &scratch)
    }

    func cancel() {
      state.withLock { state in
        state.isCancelled = true
      }
      free.signal()
    }
  }
}

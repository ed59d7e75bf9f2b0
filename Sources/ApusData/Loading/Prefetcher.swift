import ApusDevice
import Foundation

/// Makes items `0..<count` ahead of their use, on threads of its own, and hands them out in order.
///
/// At most two items for each thread are made or ready at a time. A failure is thrown where its item
/// would have come; the threads end with the items, with a failure, or when the prefetcher is cancelled
/// or freed.
package final class Prefetcher<Item: Sendable>: Sendable {
  /// Makes one item; the memory is the thread's own, for reuse from item to item.
  package typealias Maker = @Sendable (_ index: Int, _ scratch: inout [Float]) throws -> Item

  private let shared: Shared
  private let workers: Int

  /// - Parameter workers: Threads; 0 makes each item when it is asked for.
  package init(count: Int, workers: Int, make: @escaping Maker) {
    self.workers = max(min(workers, count), 0)
    shared = Shared(count: count, workers: self.workers, make: make)
    for _ in 0..<self.workers {
      let thread = Thread { [shared] in shared.work() }
      thread.name = "apus-loader"
      thread.start()
    }
  }

  deinit { cancel() }

  /// The next item; nil after the last one, after a failure and after cancelling.
  package func next() throws -> Item? {
    do {
      return try workers == 0 ? shared.makeNext() : shared.takeNext()
    } catch {
      cancel()
      throw error
    }
  }

  /// Makes all items on all cores and hands them over, in order.
  static func each(
    of count: Int, make: @escaping @Sendable (_ index: Int) throws -> Item,
    take: (Item) throws -> Void
  ) throws {
    let cores = UsableProcessors.count
    let prefetcher = Prefetcher(count: count, workers: cores) { index, _ in try make(index) }
    while let item = try prefetcher.next() { try take(item) }
  }

  /// Makes no further items and waits for those being made.
  package func cancel() { shared.cancel() }
}

extension Prefetcher {
  /// What the threads hold; they do not hold the prefetcher, whose end is theirs.
  ///
  /// @unchecked: everything that changes is touched with `condition` held.
  private final class Shared: @unchecked Sendable {
    private let count: Int
    private let make: Maker
    // A condition of POSIX rather than a `Mutex`: the sanitizer knows it, and threads can wait for it.
    private let condition = NSCondition()
    /// The next item to make, and the next to hand out.
    private var toMake = 0
    private var toTake = 0
    private var isCancelled = false
    private var running: Int
    /// Item `i` waits at `i` modulo their number.
    private var slots: [Result<Item, any Error>?]

    init(count: Int, workers: Int, make: @escaping Maker) {
      self.count = count
      self.make = make
      running = workers
      slots = Array(repeating: nil, count: 2 * max(workers, 1))
    }

    private func locked<Value>(_ body: () throws -> Value) rethrows -> Value {
      condition.lock()
      defer { condition.unlock() }
      return try body()
    }

    func work() {
      var scratch: [Float] = []
      while let index = draw() {
        let result = Result { try make(index, &scratch) }
        locked {
          slots[index % slots.count] = result
          // What comes after a failure is not asked for.
          if case .failure = result { toMake = count }
          condition.broadcast()
        }
      }
      locked {
        running -= 1
        condition.broadcast()
      }
    }

    /// An item to make, once there is room for it; nil when there is no more to do.
    private func draw() -> Int? {
      locked {
        while !isCancelled, toMake < count, toMake - toTake >= slots.count { condition.wait() }
        guard !isCancelled, toMake < count else { return nil }
        toMake += 1
        return toMake - 1
      }
    }

    func takeNext() throws -> Item? {
      try locked {
        let slot = toTake % slots.count
        while !isCancelled, toTake < count, slots[slot] == nil { condition.wait() }
        guard !isCancelled, toTake < count, let result = slots[slot] else { return nil }
        slots[slot] = nil
        toTake += 1
        condition.broadcast()
        return try result.get()
      }
    }

    func makeNext() throws -> Item? {
      let index = locked {
        guard !isCancelled, toTake < count else { return nil as Int? }
        toTake += 1
        return toTake - 1
      }
      var scratch: [Float] = []
      return try index.map { try make($0, &scratch) }
    }

    func cancel() {
      locked {
        isCancelled = true
        condition.broadcast()
        while running > 0 { condition.wait() }
      }
    }
  }
}

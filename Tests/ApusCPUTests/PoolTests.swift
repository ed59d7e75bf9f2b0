import ApusCPU
import ApusDevice
import CVector
import Dispatch
import Synchronization
import Testing

extension CPUTests {
  /// The pool of threads, the pool of memory, and what callers on several threads may expect.
  struct PoolTests {
    private final class Tally: Sendable {
      let visits: [Atomic32]
      init(_ count: Int) { visits = (0..<count).map { _ in Atomic32() } }
    }
    private final class Atomic32: Sendable {
      let value = Atomic<Int>(0)
    }

    @Test(arguments: [1, 2, 7, 1000], [1, 3, 64])
    func coversEveryIndexOnce(count: Int, grain: Int) {
      for _ in 0..<200 {
        let tally = Tally(count)
        let context = Unmanaged.passRetained(tally)
        defer { context.release() }
        apus_parallel_for(
          count, grain,
          { context, begin, end in
            guard let context else { return }
            let tally = Unmanaged<Tally>.fromOpaque(context).takeUnretainedValue()
            for index in begin..<end { tally.visits[index].value.add(1, ordering: .relaxed) }
          }, context.toOpaque())
        #expect(tally.visits.allSatisfy { $0.value.load(ordering: .relaxed) == 1 })
      }
    }

    /// Many threads at once: one has the pool, the others run their work themselves.
    @Test func servesConcurrentCallers() throws {
      let device = try sharedDevice()
      let failures = Atomic<Int>(0)
      DispatchQueue.concurrentPerform(iterations: 8) { caller in
        for round in 0..<40 {
          do {
            let n = 40000 + 1000 * caller + round
            let x = try device.temporary([n])
            let total = try device.temporary([1])
            try device.enqueue(.fill(Double(caller + 1)), [], [x])
            try device.enqueue(.scalar(.add, 1, reversed: false), [x], [x])
            try device.enqueue(.reduce(.sum, axes: [0]), [x], [total])
            let sum: [Float] = try storageValues(total)
            if sum[0] != Float(n * (caller + 2)) { failures.add(1, ordering: .relaxed) }
          } catch {
            failures.add(1, ordering: .relaxed)
          }
        }
      }
      #expect(failures.load(ordering: .relaxed) == 0)
    }

    @Test func steadyStateAllocatesNothing() throws {
      let device = try CPUBackend()
      func step() throws {
        let x = try device.temporary([300, 500])
        try device.enqueue(.random(.uniform(low: -1, high: 1), RandomKey(1)), [], [x])
        let y = try device.temporary([300, 500])
        try device.enqueue(.softmax, [x], [y])
        let sums = try device.temporary([1, 500])
        try device.enqueue(.reduce(.sum, axes: [0]), [y], [sums])
      }
      for _ in 0..<3 { try step() }
      let before = device.counters
      for _ in 0..<10 { try step() }
      let after = device.counters
      #expect(after.allocations == before.allocations)
      #expect(after.poolHits > before.poolHits)
      #expect(after.bytesInUse == 0)
      #expect(after.launches - before.launches == 30)
    }

    @Test func refusesWhatDoesNotExist() throws {
      let device = try sharedDevice()
      #expect(throws: ApusError.self) { _ = try device.allocate(byteCount: .max) }
      #expect(throws: ApusError.self) { _ = try device.allocate(byteCount: -1) }
      #expect(throws: ApusError.self) { _ = try device.allocate(byteCount: 1 << 50) }
      let x = try device.temporary([4])
      let bytes = [UInt8](repeating: 0, count: 17)
      bytes.withUnsafeBytes { bytes in
        _ = #expect(throws: ApusError.self) {
          try device.upload(bytes, to: x.storage, byteOffset: 0)
        }
      }
      let double = try device.temporary([4], .float64)
      #expect(throws: ApusError.self) {
        try device.enqueue(.binary(.add), [double, double], [double])
      }
    }

    @Test func indicesOutOfRangeAreErrors() throws {
      let device = try sharedDevice()
      let x = try upload([1, 2, 3, 4, 5, 6] as [Float], [3, 2])
      let out = try device.temporary([2, 2])
      for bad: Int32 in [-1, 3, .max, .min] {
        let indices = try upload([0, bad], [2], .int32)
        #expect(throws: ApusError.self) { try device.enqueue(.take(axis: 0), [x, indices], [out]) }
        let losses = try device.temporary([2]), weights = try device.temporary([2])
        let logits = x.with(Layout(shape: [2, 3], strides: [3, 1], offset: 0))
        #expect(throws: ApusError.self) {
          try device.enqueue(
            .crossEntropy(labelSmoothing: 0, ignoreIndex: -100), [logits, indices],
            [losses, weights])
        }
      }
    }
  }
}

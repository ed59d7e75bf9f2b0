import ApusDevice
import Foundation

/// Host memory in powers of two, kept for the next request, with the device's counters.
// @unchecked: every mutable property is touched under the lock only.
final class ReferencePool: @unchecked Sendable {
  private let lock = NSLock()
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]
  private var state = DeviceCounters()

  var counters: DeviceCounters { lock.withLock { state } }

  private var limit: Int?

  func limitMemory(to byteCount: Int?) {
    lock.withLock {
      limit = byteCount
      if let byteCount, state.bytesInUse + state.bytesCached > byteCount { giveBack() }
    }
  }

  /// Returns what is kept to the system; under the lock.
  private func giveBack() {
    guard state.bytesCached > 0 else { return }
    for list in free.values { for base in list { Foundation.free(base) } }
    free = [:]
    state.bytesCached = 0
    state.returns += 1
  }

  func count(launches: Int = 0, synchronizations: Int = 0) {
    lock.withLock {
      state.launches += launches
      state.synchronizations += synchronizations
    }
  }

  /// Memory for `byteCount` bytes, aligned for every element type.
  func take(_ byteCount: Int) throws -> ReferenceStorage {
    guard byteCount >= 0, byteCount <= 1 << 62 else {
      throw ApusError(
        .outOfMemory, operation: "allocate",
        "\(byteCount) bytes are beyond the address space; use smaller shapes")
    }
    let size = Self.roundedSize(byteCount)
    return try lock.withLock {
      let base: UnsafeMutableRawPointer
      func shortage(_ reason: String) -> ApusError {
        MemoryShortage(
          device: "reference", asked: byteCount, inUse: state.bytesInUse, limit: limit,
          reason: reason
        ).error
      }
      if let cached = free[size]?.popLast() {
        state.poolHits += 1
        state.bytesCached -= size
        base = cached
      } else {
        if let limit, size > limit - state.bytesInUse - state.bytesCached {
          giveBack()
          if size > limit - state.bytesInUse { throw shortage("") }
        }
        guard let fresh = malloc(size) else { throw shortage("the system has none") }
        state.allocations += 1
        base = fresh
      }
      state.bytesInUse += size
      state.peakBytesInUse = max(state.peakBytesInUse, state.bytesInUse)
      return ReferenceStorage(base: base, byteCount: byteCount, pool: self)
    }
  }

  func give(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
    let size = Self.roundedSize(byteCount)
    lock.withLock {
      free[size, default: []].append(base)
      state.bytesInUse -= size
      state.bytesCached += size
    }
  }

  private static func roundedSize(_ byteCount: Int) -> Int {
    guard byteCount > 64 else { return 64 }
    return 1 << (Int.bitWidth - (byteCount - 1).leadingZeroBitCount)
  }

  deinit {
    for list in free.values { for base in list { Foundation.free(base) } }
  }
}

/// Memory of the reference device.
// @unchecked: the pointer never changes; what it points to is touched under the device's lock.
final class ReferenceStorage: Storage, @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let pool: ReferencePool

  init(base: UnsafeMutableRawPointer, byteCount: Int, pool: ReferencePool) {
    self.base = base
    self.pool = pool
    super.init(byteCount: byteCount)
  }

  deinit { pool.give(base, byteCount) }
}

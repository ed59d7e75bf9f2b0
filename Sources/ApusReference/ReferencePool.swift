import ApusDevice
import Foundation

/// Host memory in powers of two, kept for the next request, with the device's counters.
// @unchecked: every mutable property is touched under the lock only.
final class ReferencePool: @unchecked Sendable {
  private let lock = NSLock()
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]
  private var state = DeviceCounters()

  var counters: DeviceCounters { lock.withLock { state } }

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
      if let cached = free[size]?.popLast() {
        state.poolHits += 1
        base = cached
      } else {
        guard let fresh = malloc(size) else {
          throw ApusError(
            .outOfMemory, operation: "allocate",
            "the system has no memory for \(byteCount) bytes; use smaller shapes or batches")
        }
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

import Foundation

/// A mutual-exclusion lock of a device, for its queue, kernels, pool or waiting commands.
///
/// Unlike the standard library's `Mutex`, whose waiting is hidden in a library, ThreadSanitizer sees what
/// it orders. `@unchecked Sendable`: a pthread mutex at a fixed heap address may be used from any thread.
package final class DeviceLock: @unchecked Sendable {
  @usableFromInline package let mutex: UnsafeMutablePointer<pthread_mutex_t>

  package init() {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  @inlinable @inline(__always)
  package func locked<R>(_ body: () throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }
}

import Foundation

/// Keeps processes apart that change the same file.
///
/// The lock is advisory and belongs to a file beside the one that is changed, because that one is replaced
/// as a whole. It ends with the process that holds it, however that ends, so it never needs mending; its
/// file stays, because whoever waits already has it open.
package enum FileLock {
  /// Runs the body while no other process, and no other thread of this one, holds the lock of `path`.
  /// - Parameter seconds: How long to wait for others.
  /// - Throws: `ApusError` where the file system has no locks, or the wait was too long; the body has then
  ///   not run.
  package static func holding<T>(
    _ path: String, seconds: Double = 10, _ body: () throws -> T
  ) throws -> T {
    let lock = path + ".lock"
    let file = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure(lock) }
    // Closing lets go of the lock.
    defer { close(file) }
    let deadline = DispatchTime.now().uptimeNanoseconds + UInt64(max(seconds, 0) * 1e9)
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw failure(lock) }
      guard DispatchTime.now().uptimeNanoseconds < deadline else {
        throw ApusError(
          .file, operation: lock,
          "is held by another process since \(seconds) s at least; "
            + "`fuser \(lock)` names it; wait for it or end it")
      }
      usleep(2000)
    }
    return try body()
  }

  private static func failure(_ lock: String) -> ApusError {
    ApusError(
      .file, operation: lock,
      "cannot be locked: \(String(cString: strerror(errno))); check the folder and its rights")
  }
}

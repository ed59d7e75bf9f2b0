import Foundation

extension Doctor {
  /// Why a folder, made if need be, takes no file: an error number; nil where it takes one.
  ///
  /// A file system that is full still makes empty files, so bytes are written, and removed again.
  static func writeFailure(_ folder: String) -> Int32? {
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = "\(folder)/doctor.\(UUID().uuidString.prefix(8)).tmp"
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { return errno }
    defer { unlink(path) }
    let bytes = [UInt8](repeating: 1, count: 1 << 16)
    var failure: Int32?
    let written = write(file, bytes, bytes.count)
    if written < bytes.count { failure = written < 0 ? errno : ENOSPC }
    // Some file systems find out only when the bytes must be kept.
    if failure == nil, fsync(file) != 0 { failure = errno }
    if close(file) != 0, failure == nil { failure = errno }
    return failure
  }

  /// Bytes that a user may still write where a folder lies; nil where that cannot be told.
  static func freeBytes(_ folder: String) -> Int? {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return nil }
    return Int(clamping: status.f_bavail).multipliedReportingOverflow(
      by: Int(clamping: status.f_frsize)
    ).partialValue
  }
}

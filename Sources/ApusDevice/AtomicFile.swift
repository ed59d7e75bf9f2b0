import Foundation

/// Writes files so that a reader sees the old contents or the new ones, never a part.
public enum AtomicFile {
  /// Replaces `path`: the bytes go to a file beside it, reach the disk, then take its name.
  /// - Throws: ``ApusError`` naming the path; the old file is then untouched.
  public static func write(_ data: Data, to path: String) throws {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory),
      isDirectory.boolValue
    {
      throw ApusError(.file, operation: path, "this is a directory; name a file in it")
    }
    let temporary = "\(path).\(UUID().uuidString.prefix(8)).tmp"
    do {
      try writeThrough(data, to: temporary, for: path)
      guard rename(temporary, path) == 0 else { throw failure(path) }
    } catch {
      unlink(temporary)
      throw error
    }
    // The name itself must reach the disk too.
    let folder = open((path as NSString).deletingLastPathComponent.nonEmptyPath, O_RDONLY)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  /// Whether `path` could be written, asked before long work.
  /// - Throws: ``ApusError`` that says what is in the way.
  public static func requireWritable(_ path: String) throws {
    let temporary = "\(path).\(UUID().uuidString.prefix(8)).tmp"
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory),
      isDirectory.boolValue
    {
      throw ApusError(.file, operation: path, "this is a directory; name a file in it")
    }
    try writeThrough(Data(), to: temporary, for: path)
    unlink(temporary)
  }

  private static func writeThrough(_ data: Data, to temporary: String, for path: String) throws {
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    try data.withUnsafeBytes { bytes in
      var start = 0
      while start < bytes.count {
        let written = Foundation.write(
          file, bytes.baseAddress.map { $0 + start }, bytes.count - start)
        if written < 0 {
          if errno == EINTR { continue }
          throw failure(path)
        }
        start += written
      }
    }
    guard fsync(file) == 0 else { throw failure(path) }
  }

  private static func failure(_ path: String) -> ApusError {
    let reason = String(cString: strerror(errno))
    return ApusError(
      .file, operation: path, "cannot be written: \(reason); check the folder, rights and space")
  }
}

extension String {
  fileprivate var nonEmptyPath: String { isEmpty ? "." : self }
}

import Foundation

/// Writes files so that a reader sees the old contents or the new ones, never a part.
public enum AtomicFile {
  /// Replaces `path`: the bytes go to a file beside it, reach the disk, then take its name. Where
  /// `path` is a symbolic link, the file it leads to is replaced.
  /// - Throws: ``ApusError`` naming the path; the old file is then untouched.
  public static func write(_ data: Data, to path: String) throws {
    let path = try replaceable(path)
    let temporary = "\(path).\(UUID().uuidString.prefix(8)).tmp"
    do {
      try writeThrough(data, to: temporary, for: path)
      guard rename(temporary, path) == 0 else { throw failure(path) }
    } catch {
      unlink(temporary)
      throw error
    }
    // The name itself must reach the disk too.
    let folder = open(Self.folder(of: path), O_RDONLY)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  /// Whether `path` could be written, asked before long work.
  /// - Throws: ``ApusError`` that says what is in the way.
  public static func requireWritable(_ path: String) throws {
    let path = try replaceable(path)
    let temporary = "\(path).\(UUID().uuidString.prefix(8)).tmp"
    try writeThrough(Data(), to: temporary, for: path)
    unlink(temporary)
  }

  /// Where the bytes will lie: `path` with links followed.
  /// - Throws: ``ApusError`` for what a file must not take the place of: folders, devices, pipes.
  private static func replaceable(_ path: String) throws -> String {
    guard !path.isEmpty else {
      throw ApusError(.file, operation: "write", "the path is empty; name a file")
    }
    var status = stat()
    guard stat(path, &status) == 0 else { return path }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR:
      throw ApusError(.file, operation: path, "this is a directory; name a file in it")
    default:
      throw ApusError(
        .file, operation: path, "is a device or a pipe, not a regular file; name a file")
    }
    guard let real = realpath(path, nil) else { throw failure(path) }
    defer { free(real) }
    return String(cString: real)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
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

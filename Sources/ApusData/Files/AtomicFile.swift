import ApusDevice
import Foundation

/// Files that appear whole or not at all: written beside their place, flushed to the disk, renamed.
public enum AtomicFile {
  /// Replaces or creates the file at `path`; a symbolic link is followed. Throws `.file` and leaves
  /// the old file untouched when anything fails.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    guard !FileContents.isFolder(target) else {
      throw ApusError(.file, operation: path, "this is a folder, a file name is needed")
    }
    let tag = UInt64.random(in: .min ... .max)
    let temporary = "\(target).\(String(tag, radix: 36)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path, "cannot be created") }
    do {
      try writeAll(bytes, to: descriptor, path)
      guard fsync(descriptor) == 0 else { throw failure(path, "cannot be flushed") }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0, rename(temporary, target) == 0 else {
      let error = failure(path, "cannot be put in its place")
      unlink(temporary)
      throw error
    }
    flushFolder(of: target)
  }

  /// A rename reaches the disk with its folder; where folders cannot be flushed, that is no failure.
  static func flushFolder(of path: String) {
    let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws {
    try bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let written = Foundation.write(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 {
          if errno == EINTR { continue }
          throw failure(path, "cannot be written")
        }
        rest = rest.dropFirst(written)
      }
    }
  }

  private static func failure(_ path: String, _ what: String) -> ApusError {
    ApusError(.file, operation: path, "\(what): \(String(cString: strerror(errno)))")
  }
}

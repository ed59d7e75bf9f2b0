import Apus
import Foundation

/// The log of a run as JSON lines, written as the run goes on.
final class RunLog {
  private let handle: FileHandle
  private let path: String

  /// Starts a new log.
  /// - Throws: ``ApusError`` where the file cannot be written.
  init(path: String) throws {
    self.path = path
    // Opened in place: a log may also be a pipe or a terminal.
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ApusError(
        .file, operation: path,
        "cannot be written: \(String(cString: strerror(errno))); check the folder, rights and space"
      )
    }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  func write(_ event: TrainingEvent) throws {
    do {
      try handle.write(contentsOf: Data((try event.json() + "\n").utf8))
    } catch {
      throw ApusError(.file, operation: path, "cannot be written: \(error.localizedDescription)")
    }
  }
}

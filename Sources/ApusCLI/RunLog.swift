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
    try AtomicFile.requireWritable(path)
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let handle = FileHandle(forWritingAtPath: path)
    else { throw ApusError(.file, operation: path, "cannot be written") }
    self.handle = handle
  }

  func write(_ event: TrainingEvent) throws {
    do {
      try handle.write(contentsOf: Data((try event.json() + "\n").utf8))
    } catch {
      throw ApusError(.file, operation: path, "cannot be written: \(error.localizedDescription)")
    }
  }

  deinit { try? handle.close() }
}

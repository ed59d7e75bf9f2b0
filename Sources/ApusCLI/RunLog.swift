import Apus
import Foundation

/// The log of a run as JSON lines, written as the run goes on.
final class RunLog {
  private let handle: FileHandle
  private let path: String
  private let kept: [Substring]

  /// Starts a new log, or goes on with the log of a run that is resumed.
  /// - Parameter epoch: The lines of this epoch and of those before it stay.
  /// - Throws: ``ApusError`` where the file cannot be written.
  init(path: String, resumingAfter epoch: Int? = nil) throws {
    self.path = path
    kept = epoch.map { Self.lines(of: path, upTo: $0) } ?? []
    // A run that is killed again must not lose what it keeps.
    if !kept.isEmpty {
      try AtomicFile.write(Data((kept.joined(separator: "\n") + "\n").utf8), to: path)
    }
    // Opened in place: a log may also be a pipe or a terminal.
    let descriptor = open(
      path, O_WRONLY | O_CREAT | O_CLOEXEC | (kept.isEmpty ? O_TRUNC : O_APPEND), 0o644)
    guard descriptor >= 0 else {
      throw ApusError(
        .file, operation: path,
        "cannot be written: \(String(cString: strerror(errno))); check the folder, rights and space"
      )
    }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  /// The completed epochs among the lines that were kept.
  var keptEpochs: [TrainingEvent.Epoch] {
    kept.compactMap { try? JSONDecoder().decode(TrainingEvent.Epoch.self, from: Data($0.utf8)) }
  }

  /// The steps, gradients and epochs of a log up to an epoch; none where there is no such file.
  private static func lines(of path: String, upTo epoch: Int) -> [Substring] {
    guard
      (try? FileManager.default.attributesOfItem(atPath: path)[.type]) as? FileAttributeType
        == .typeRegular, let text = try? String(contentsOfFile: path, encoding: .utf8)
    else { return [] }
    return text.split(separator: "\n").filter { line in
      for event in ["step", "gradients", "epoch"] {
        let start = "{\"event\":\"\(event)\",\"epoch\":"
        guard line.hasPrefix(start) else { continue }
        let number = Int(line.dropFirst(start.count).prefix { $0.isNumber })
        // A run that was killed may have left half a line.
        return number.map { $0 <= epoch } ?? false && line.hasSuffix("}")
      }
      return false
    }
  }

  func write(_ event: TrainingEvent) throws {
    do {
      try handle.write(contentsOf: Data((try event.json() + "\n").utf8))
    } catch {
      throw ApusError(.file, operation: path, "cannot be written: \(error.fileReason)")
    }
  }
}

import ApusDevice
import Foundation

/// A folder with the checkpoints of one run: `last.safetensors`, and `best.safetensors` where there
/// is a validation part.
public struct CheckpointFolder: Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  public var last: String { path + "/last.safetensors" }
  public var best: String { path + "/best.safetensors" }
  public var hasLast: Bool { FileManager.default.fileExists(atPath: last) }

  /// Makes the folder where it is missing, and removes what a run that was killed amid writing left.
  /// - Throws: ``ApusError`` where it cannot be written to.
  public func prepare() throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      for name in try FileManager.default.contentsOfDirectory(atPath: path)
      where name.hasSuffix(".tmp")
        && (name.hasPrefix("last.safetensors.") || name.hasPrefix("best.safetensors."))
      {
        try FileManager.default.removeItem(atPath: "\(path)/\(name)")
      }
    } catch {
      throw ApusError(
        .file, operation: path,
        "is no folder for checkpoints: \(error.fileReason)")
    }
    try AtomicFile.requireWritable(last)
  }

  /// Writes a checkpoint, atomically.
  public func write(_ checkpoint: Checkpoint, model: (any StoredModel)? = nil) throws {
    // The best first: a run that ends between the two computes this epoch again.
    if checkpoint.progress.isBest { try checkpoint.write(to: best, model: model) }
    try checkpoint.write(to: last, model: model)
  }
}

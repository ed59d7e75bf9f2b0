import ApusDevice
import Foundation

extension NamedImageSet {
  /// Fetches what `folder` lacks, each file from the first mirror that gives it with the right
  /// checksum.
  func download(to folder: ImageFolder, options: DataOptions) throws {
    try NamedImageSet.withFolder(folder.path) {
      let downloader = Downloader(progress: options.progress)
      for (file, checksum) in zip(ImageFolder.files, checksums) where folder.locate(file) == nil {
        try downloader.fetch(
          file + ".gz", from: mirrors, to: "\(folder.path)/\(file).gz", md5: checksum)
      }
    }
  }

  /// Makes a folder where needed and fills it; processes that want the same folder take turns.
  static func withFolder(_ path: String, fill: () throws -> Void) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw ApusError(.file, operation: path, "cannot be made: \(error.fileReason)")
    }
    let lock = open(path + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    defer { if lock >= 0 { close(lock) } }
    if lock >= 0 { flock(lock, LOCK_EX) }
    try fill()
  }
}

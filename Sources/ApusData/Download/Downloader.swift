import ApusDevice
import Foundation

/// Fetches one file from several mirrors: resumed where a connection broke, checked, then renamed
/// into place, so that a file under its own name is whole.
package struct Downloader: Sendable {
  package var progress: (@Sendable (_ file: String, _ received: Int, _ total: Int?) -> Void)?
  /// Tries per mirror; one that brings bytes does not count.
  package var attempts = 3
  /// Seconds before the second try; doubled from try to try.
  package var retryDelay = 0.5
  /// Seconds without a byte after which a connection is given up.
  package var timeout = 30.0
  /// A longer file is not what was asked for.
  package var byteLimit = 256 << 20

  package init(
    progress: (@Sendable (_ file: String, _ received: Int, _ total: Int?) -> Void)? = nil
  ) {
    self.progress = progress
  }

  /// Puts `file` of the first mirror that has it under `path`. `md5`: 32 lower-case digits. Throws
  /// `.file` with what went wrong at each mirror.
  package func fetch(_ file: String, from mirrors: [String], to path: String, md5: String) throws {
    var failures: [String] = []
    for mirror in mirrors {
      guard let address = URL(string: mirror + file) else {
        failures.append("\(mirror): no address")
        continue
      }
      if let failure = try fetch(file, address, path: path, md5: md5) {
        failures.append("\(address.absoluteString): \(failure)")
      } else {
        return
      }
    }
    throw ApusError(.file, operation: file, failures.joined(separator: "; "))
  }

  /// What went wrong, or nil when the file is in its place.
  private func fetch(_ file: String, _ address: URL, path: String, md5: String) throws -> String? {
    let partial = path + ".part"
    var failuresInARow = 0
    var restarts = 0
    while true {
      let present = Downloader.size(of: partial)
      let transfer = try Transfer(
        address: address, partial: partial, offset: present, timeout: timeout, limit: byteLimit
      ) { received, total in progress?(file, received, total) }
      let outcome = transfer.run()
      if Downloader.size(of: partial) == 0 { unlink(partial) }
      switch outcome {
      case .complete:
        let sum = MD5.hexadecimal(of: try FileContents.read(partial))
        if sum == md5 {
          try Downloader.install(partial, at: path)
          return nil
        }
        unlink(partial)
        // Bytes of an earlier, different file may have been at its beginning.
        restarts += 1
        if present == 0 || restarts > 1 { return "the checksum is \(sum), not \(md5)" }
      case .cannotResume:
        unlink(partial)
        restarts += 1
        if restarts > 1 { return "the server does not resume" }
      case .refused(let reason):
        return reason
      case .broken(let reason):
        failuresInARow = Downloader.size(of: partial) > present ? 1 : failuresInARow + 1
        if failuresInARow >= attempts { return reason }
        Thread.sleep(forTimeInterval: retryDelay * Double(1 << min(failuresInARow - 1, 6)))
      }
    }
  }

  private static func size(of path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
  }

  private static func install(_ partial: String, at path: String) throws {
    let descriptor = open(partial, O_RDWR)
    let isFlushed = descriptor >= 0 && fsync(descriptor) == 0
    if descriptor >= 0 { close(descriptor) }
    guard isFlushed, rename(partial, path) == 0 else {
      throw ApusError(
        .file, operation: path, "cannot be put in its place: \(String(cString: strerror(errno)))")
    }
    // The name itself must reach the disk too.
    let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }
}

import Apus
import Foundation

/// Guards against files that would overwrite each other, or what a run reads.
enum DistinctPaths {
  typealias Named = (option: String, path: String?)

  /// - Parameters:
  ///   - written: Paths by the option that names them.
  ///   - read: The same for what a run reads; names of built-in things among them are no files.
  /// - Throws: ``ApusError`` where two options name the same file and one of them writes it.
  static func require(written: [Named], read: [Named]) throws {
    var seen: [String: String] = [:]
    let inputs = read.filter { $0.path.map(FileManager.default.fileExists(atPath:)) ?? false }
    for (option, path) in inputs + written {
      guard let path, !path.isEmpty, !isDevice(path) else { continue }
      let place = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
      if let other = seen[place], written.contains(where: { $0.option == option }) {
        throw ApusError(
          .value, operation: path,
          "is named by both \(other) and \(option); one would overwrite the other")
      }
      seen[place] = option
    }
  }

  /// Terminals and pipes take more than one text.
  private static func isDevice(_ path: String) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return false }
    let kind = status.st_mode & S_IFMT
    return kind != S_IFREG && kind != S_IFDIR
  }
}

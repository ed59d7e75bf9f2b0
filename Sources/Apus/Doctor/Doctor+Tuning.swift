import ApusOpenCL
import Foundation

extension Doctor {
  /// What the tuner keeps, and the locks that keep processes apart.
  func tuning(in root: String) -> [Finding] {
    ["tuning", "locks"].flatMap { name -> [Finding] in
      let folder = "\(root)/\(name)"
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return files.sorted().compactMap { file in
        let path = "\(folder)/\(file)"
        if file.hasSuffix(".lock") { return lock(path, rights: rights(to: root)) }
        return name == "tuning" && file.hasSuffix(".txt")
          ? table(path, rights: rights(to: root)) : nil
      }
    }
  }

  private func lock(_ path: String, rights: String) -> Finding? {
    if Self.isFolder(path) { return Self.folder(path) }
    if surroundings.isAccessible(path) { return nil }
    return Finding(
      "cache", .problem, "\(path) may not be read and written by this user, so nothing is stored",
      remedy: rights)
  }

  private func table(_ path: String, rights: String) -> Finding? {
    if Self.isFolder(path) { return Self.folder(path) }
    if !surroundings.isReadable(path) {
      return Finding(
        "cache", .problem, "\(path) may not be read by this user, so what was tuned is not used",
        remedy: rights)
    }
    guard let ignored = try? TuningTable.read(path).damaged, ignored > 0 else { return nil }
    return Finding(
      "cache", .problem, "\(ignored) lines of \(path) are damaged and ignored",
      remedy: "rm \(quoted(path))  # then apus tune")
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  private static func folder(_ path: String) -> Finding {
    Finding(
      "cache", .problem, "\(path) is a directory where a file belongs, so nothing is stored",
      remedy: "rm -r \(quoted(path))")
  }
}

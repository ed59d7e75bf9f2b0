import ApusOpenCL
import Foundation

extension Doctor {
  /// Larger than a few devices and versions would fill.
  private static let largestCache = 1 << 30
  /// About what the programs of one device take.
  private static let neededBytes = 16 << 20

  /// The folders of built kernels and of what was tuned.
  func cache() -> [Finding] {
    let cache = ProgramCache(environment: surroundings.environment)
    let root = (cache.folder as NSString).deletingLastPathComponent
    if let finding = writing(in: root) { return [finding] }
    let census = cache.census()
    let size = String(format: "%.1f MiB", Double(census.byteCount) / 0x1p20)
    var findings = programs(cache.folder, census, size) + tuning(in: root)
    if let free = surroundings.freeBytes(root), free < Self.neededBytes {
      findings.append(
        Finding(
          "cache", .problem,
          "only \(free >> 10) KiB are free where \(root) lies; not all kernels may fit",
          remedy: roomierCache(than: root)))
    }
    if findings.isEmpty {
      findings = [
        Finding("cache", .ok, "\(cache.folder): \(census.count) built programs, \(size), all whole")
      ]
    }
    return findings
  }

  private func programs(_ folder: String, _ census: ProgramCache.Census, _ size: String)
    -> [Finding]
  {
    let root = (folder as NSString).deletingLastPathComponent
    var findings: [Finding] = []
    let unreadable = census.damaged.filter { !surroundings.isReadable("\(folder)/\($0)") }
    let damaged = census.damaged.filter { !unreadable.contains($0) }
    if !surroundings.isReadable(folder) {
      findings.append(
        Finding("cache", .problem, "\(folder) may not be read", remedy: rights(to: root)))
    }
    if let first = unreadable.first {
      findings.append(
        Finding(
          "cache", .problem,
          "\(unreadable.count) of \(census.count) entries may not be read by this user and are built anew, "
            + "one is \(first)", remedy: rights(to: root)))
    }
    if let first = damaged.first {
      findings.append(
        Finding(
          "cache", .problem,
          "\(damaged.count) of \(census.count) entries are damaged; they are ignored and built "
            + "anew, one is \(first)", remedy: "rm -r \(quoted(folder))"))
    }
    if census.byteCount > Self.largestCache {
      findings.append(
        Finding(
          "cache", .problem, "\(folder) has grown to \(size)", remedy: "rm -r \(quoted(folder))"))
    }
    if census.leftovers > 0 {
      findings.append(
        Finding(
          "cache", .note, "\(census.leftovers) unfinished files of programs that were killed",
          remedy: "rm \(quoted(folder))/*.tmp"))
    }
    return findings
  }

  /// What keeps something from being stored; nil where all folders can be written.
  private func writing(in root: String) -> Finding? {
    for (name, loss) in [
      ("programs", "without it every start compiles the kernels anew"),
      ("tuning", "without it nothing can be tuned"),
      ("locks", "without it processes that start at once build the same kernels"),
    ] {
      let folder = "\(root)/\(name)"
      guard let code = surroundings.writeFailure(folder) else { continue }
      let message = "\(folder) cannot be written: \(String(cString: strerror(code))); \(loss)"
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder)
      let remedy =
        exists && !isFolder.boolValue
        ? "rm \(quoted(folder))"
        : code == ENOSPC || code == EDQUOT
          ? roomierCache(than: root)
          : "export APUS_CACHE=/tmp/apus-cache  # or mend the folder's rights"
      return Finding("cache", .problem, message, remedy: remedy)
    }
    return nil
  }

  /// Gives the user what belongs to another, or may not be opened.
  func rights(to root: String) -> String {
    "sudo chown -R $USER \(quoted(root)) && chmod -R u+rwX \(quoted(root))"
  }

  /// A cache on another file system, with room.
  private func roomierCache(than root: String) -> String {
    func device(_ path: String) -> dev_t? {
      var status = stat()
      return stat(path, &status) == 0 ? status.st_dev : nil
    }
    let place = ["/tmp", "/var/tmp", "/dev/shm"].first { path in
      device(path) != device(root) && access(path, W_OK) == 0
        && surroundings.freeBytes(path) ?? 0 > 4 * Self.neededBytes
    }
    return place.map { "export APUS_CACHE=\($0)/apus-cache  # or make room" }
      ?? "df -h  # then make room, or export APUS_CACHE=a folder where there is some"
  }
}

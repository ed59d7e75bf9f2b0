import ApusDevice
import ApusOpenCL
import Foundation

extension Doctor {
  /// Larger than a few devices and versions would fill.
  private static let largestCache = 1 << 30

  /// The folder of built kernels.
  func cache() -> [Finding] {
    let cache = ProgramCache(environment: surroundings.environment)
    let folder = cache.folder
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try AtomicFile.requireWritable(folder + "/doctor")
    } catch {
      let message = (error as? ApusError)?.message ?? error.localizedDescription
      return [
        Finding(
          "cache", .problem,
          "\(folder) \(message); without it every start compiles the kernels anew",
          remedy: "export APUS_CACHE=/tmp/apus-cache  # or mend the folder's rights")
      ]
    }
    let census = cache.census()
    let size = String(format: "%.1f MiB", Double(census.byteCount) / 0x1p20)
    var findings: [Finding] = []
    if !census.damaged.isEmpty {
      findings.append(
        Finding(
          "cache", .problem,
          "\(census.damaged.count) of \(census.count) entries are damaged; they are ignored and built "
            + "anew, one is \(census.damaged[0])",
          remedy: "rm -r '\(folder)'"))
    }
    if census.byteCount > Self.largestCache {
      findings.append(
        Finding(
          "cache", .problem, "\(folder) has grown to \(size)", remedy: "rm -r '\(folder)'"))
    }
    if census.leftovers > 0 {
      findings.append(
        Finding(
          "cache", .note, "\(census.leftovers) unfinished files of programs that were killed",
          remedy: "rm '\(folder)'/*.tmp"))
    }
    let tuning = (folder as NSString).deletingLastPathComponent + "/tuning"
    for name in (try? FileManager.default.contentsOfDirectory(atPath: tuning))?.sorted() ?? []
    where name.hasSuffix(".txt") {
      let path = "\(tuning)/\(name)"
      do {
        let damaged = try TuningTable.read(path).damaged
        if damaged > 0 {
          findings.append(
            Finding(
              "cache", .problem, "\(damaged) lines of \(path) are damaged and ignored",
              remedy: "rm '\(path)'  # then apus tune"))
        }
      } catch {
        let message = (error as? ApusError)?.message ?? error.localizedDescription
        findings.append(
          Finding(
            "cache", .problem, "\(path) \(message)",
            remedy: "chmod u+r '\(path)'  # or rm -r, then apus tune"))
      }
    }
    if findings.isEmpty {
      findings = [
        Finding("cache", .ok, "\(folder): \(census.count) built programs, \(size), all whole")
      ]
    }
    return findings
  }
}

import ApusDevice
import Foundation
import Synchronization

/// What was tuned: an operation with the extents that its choice depends on.
package struct TuningKey: Hashable, Sendable {
  package let operation: String
  package let sizes: [Int]

  package init(operation: String, sizes: [Int]) {
    self.operation = operation
    self.sizes = sizes
  }

  private static let searched = "searched:"
  /// The key of the line that says how many candidates were tried when a search came to its end.
  var search: TuningKey { TuningKey(operation: Self.searched + operation, sizes: sizes) }
  var isSearch: Bool { operation.hasPrefix(Self.searched) }
}

/// The winners of the tuner, a file of lines per device and driver in the cache:
///
///     gemm 128 512 784 1 0 1 0 = 0 12 72 256 208 1 #5d0c…
///     searched:gemm 128 512 784 1 0 1 0 = 64 #81f2…
///
/// The second line says that 64 candidates were tried, so that a later search goes on where none was; it is
/// there as well where the usual way has won.
///
/// A line whose checksum is wrong counts as missing, so what it was about runs as if never tuned. The file
/// is replaced as a whole: a reader sees the old one or the new one. Writers take turns by a lock, so
/// processes that tune at once keep the lines of all.
package final class TuningTable: Sendable {
  package let path: String
  private let title: String
  private let entries: Mutex<[TuningKey: [Int]]>
  private let hasEntries: Atomic<Bool>
  /// Threads that are trying choices.
  private let scopes = Atomic<Int>(0)

  /// `tuning` beside the folder of built programs. What is found with emulated tensor cores has a file of its
  /// own.
  init(
    _ description: OpenCLDeviceDescription, beside cache: ProgramCache, isEmulated: Bool = false
  ) {
    var identity = [
      description.name, description.vendor, description.driverVersion, description.platformName,
      description.platformVersion, description.kind.rawValue, "\(description.computeUnits)",
      "\(description.localMemory)",
    ]
    if isEmulated { identity.append("emulated tensor cores") }
    let key = ProgramCache.key(identity.map { Array($0.utf8) })
    let folder = (cache.folder as NSString).deletingLastPathComponent
    path = "\(folder)/tuning/\(key).txt"
    title =
      "# \(description.name), \(description.platformName) \(description.driverVersion), "
      + "kernels for \(description.kind.rawValue)"
    let known = Self.read(path).entries
    entries = Mutex(known)
    hasEntries = Atomic(!known.isEmpty)
  }

  package var isEmpty: Bool { !hasEntries.load(ordering: .relaxed) }

  /// Whether nothing was ever tuned nor is just now: the usual case, which costs two loads.
  @inline(__always)
  var isIdle: Bool { isEmpty && scopes.load(ordering: .relaxed) == 0 }

  func enterScope() { scopes.wrappingAdd(1, ordering: .relaxed) }
  func leaveScope() { scopes.wrappingSubtract(1, ordering: .relaxed) }

  /// What the scope of the thread says, else what is kept.
  func chosen(_ key: TuningKey, _ candidates: () -> [TuningCandidate]) -> [Int]? {
    switch TuningScope.current {
    case .choose(key, let choice): return choice
    case .survey(let survey): survey.note(key, candidates)
    default: break
    }
    return choice(key)
  }

  package func choice(_ key: TuningKey) -> [Int]? { entries.withLock { $0[key] } }

  /// Whether a choice is kept or a search has found the usual way best.
  func isKnown(_ key: TuningKey) -> Bool { choice(key) != nil || choice(key.search) != nil }

  /// Choices other than the usual ones.
  package var count: Int { entries.withLock { $0.keys.filter { !$0.isSearch }.count } }

  /// Keeps a choice, or forgets it, for this process.
  package func adopt(_ key: TuningKey, _ choice: [Int]?) {
    entries.withLock {
      $0[key] = choice
      hasEntries.store(!$0.isEmpty, ordering: .relaxed)
    }
  }

  /// Keeps a choice, or forgets it; from now on, and in the file.
  /// - Parameter patience: Seconds to wait for other writers.
  /// - Throws: `ApusError` where the file cannot be written; the choice then holds for this process.
  package func record(_ key: TuningKey, _ choice: [Int]?, patience: Double = 10) throws {
    adopt(key, choice)
    let folder = (path as NSString).deletingLastPathComponent
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw ApusError(
        .file, operation: folder, "cannot be made: \(error.localizedDescription)")
    }
    try FileLock.holding(path, seconds: patience) {
      var all = Self.read(path).entries
      all[key] = choice
      let lines = all.map { Self.line($0, $1) }.sorted()
      try AtomicFile.write(
        Data(([title] + lines).joined(separator: "\n").appending("\n").utf8), to: path)
    }
  }

  package func removeAll() throws {
    entries.withLock {
      $0 = [:]
      hasEntries.store(false, ordering: .relaxed)
    }
    guard FileManager.default.fileExists(atPath: path) else { return }
    try FileLock.holding(path) {
      guard unlink(path) == 0 || errno == ENOENT else {
        throw ApusError(
          .file, operation: path, "cannot be removed: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// The lines of a file that are whole, and how many are not.
  package static func read(_ path: String) -> (entries: [TuningKey: [Int]], damaged: Int) {
    guard let data = FileManager.default.contents(atPath: path) else { return ([:], 0) }
    var entries: [TuningKey: [Int]] = [:]
    var damaged = 0
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n")
    where !line.hasPrefix("#") {
      if let (key, choice) = parse(line) { entries[key] = choice } else { damaged += 1 }
    }
    return (entries, damaged)
  }

  private static func line(_ key: TuningKey, _ choice: [Int]) -> String {
    func words(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: " ") }
    let text = "\(key.operation) \(words(key.sizes)) = \(words(choice))"
    return "\(text) #\(String(fnv1a(Array(text.utf8)), radix: 16))"
  }

  private static func parse(_ line: Substring) -> (TuningKey, [Int])? {
    guard let mark = line.lastIndex(of: "#"), mark > line.startIndex else { return nil }
    let text = line[..<line.index(before: mark)]
    guard String(fnv1a(Array(text.utf8)), radix: 16) == line[line.index(after: mark)...] else {
      return nil
    }
    let words = text.split(separator: " ")
    guard let operation = words.first, let equals = words.firstIndex(of: "="),
      equals > 0
    else { return nil }
    let (sizes, choice) = (
      words[1..<equals].map { Int($0) }, words[(equals + 1)...].map { Int($0) }
    )
    guard !sizes.contains(nil), !choice.contains(nil), !choice.isEmpty else { return nil }
    return (
      TuningKey(operation: String(operation), sizes: sizes.compactMap { $0 }),
      choice.compactMap { $0 }
    )
  }
}

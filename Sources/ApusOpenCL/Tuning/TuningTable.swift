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

  private static let (searched, searching) = ("searched:", "searching:")
  /// The key of the line that says how many candidates were tried when a search came to its end.
  package var search: TuningKey { TuningKey(operation: Self.searched + operation, sizes: sizes) }
  /// The key of the line that says how far a search got that was cut short.
  package var progress: TuningKey {
    TuningKey(operation: Self.searching + operation, sizes: sizes)
  }
  package var isChoice: Bool {
    !operation.hasPrefix(Self.searched) && !operation.hasPrefix(Self.searching)
  }
}

/// The winners of the tuner, a file of lines per device and driver in the cache:
///
///     gemm 128 512 784 1 0 1 0 = 0 12 72 256 208 1 #5d0c…
///     searched:gemm 128 512 784 1 0 1 0 = 64 #81f2…
///     searching:gemm 64 512 784 1 0 1 0 = 71…3 981200 1043100 #9c01…
///
/// The second line says that 64 candidates were tried, so that a later search goes on where none was; it is
/// there as well where the usual way has won. The third says that a search was cut short after two, and what
/// it knows of them (``TuningProgress``).
///
/// A line whose checksum is wrong counts as missing, so what it was about runs as if never tuned. The file
/// is replaced as a whole: a reader sees the old one or the new one. Writers take turns by a lock, so
/// processes that tune at once keep the lines of all. A file that is there but cannot be read is no empty
/// one: operations run as if never tuned, and nothing is written over it.
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
    let known = (try? Self.read(path).entries) ?? [:]
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
  package var count: Int { entries.withLock { $0.keys.count { $0.isChoice } } }

  /// Keeps a choice, or forgets it, for this process.
  package func adopt(_ key: TuningKey, _ choice: [Int]?) {
    entries.withLock {
      $0[key] = choice
      hasEntries.store(!$0.isEmpty, ordering: .relaxed)
    }
  }

  /// Keeps a choice, or forgets it; from now on, and in the file.
  /// - Parameter patience: Seconds to wait for other writers.
  /// - Throws: `ApusError` where the file cannot be read or written; the choice then holds for this process.
  package func record(_ key: TuningKey, _ choice: [Int]?, patience: Double = 10) throws {
    try update(patience: patience) { $0[key] = choice }
  }

  /// The same for any change of the lines, which is made to what this process knows and to what the file has.
  func update(patience: Double = 10, _ change: (inout [TuningKey: [Int]]) -> Void) throws {
    entries.withLock {
      change(&$0)
      hasEntries.store(!$0.isEmpty, ordering: .relaxed)
    }
    try makeFolder()
    try FileLock.holding(path, seconds: patience) {
      var all = try Self.read(path).entries
      change(&all)
      let lines = all.map { Self.line($0, $1) }.sorted()
      try AtomicFile.write(
        Data(([title] + lines).joined(separator: "\n").appending("\n").utf8), to: path)
    }
  }

  /// Takes what the file has now.
  /// - Throws: `ApusError` where it cannot be read.
  func reload() throws {
    let all = try Self.read(path).entries
    entries.withLock {
      $0 = all
      hasEntries.store(!all.isEmpty, ordering: .relaxed)
    }
  }

  /// - Throws: `ApusError` that names the folder where nothing can be written into it.
  func requireWritable() throws {
    try makeFolder()
    do {
      try FileLock.holding(path) { try AtomicFile.requireWritable(path) }
    } catch let error as ApusError {
      throw ApusError(
        .file, operation: folder, "takes no tuning file: \(error.operation) \(error.message)")
    }
  }

  private var folder: String { (path as NSString).deletingLastPathComponent }

  private func makeFolder() throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw ApusError(
        .file, operation: folder,
        "cannot be made: \(error.localizedDescription); set APUS_CACHE to a folder of yours")
    }
  }

  package func removeAll() throws {
    entries.withLock {
      $0 = [:]
      hasEntries.store(false, ordering: .relaxed)
    }
    var status = stat()
    if lstat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR) { return }
    try FileLock.holding(path) {
      guard unlink(path) == 0 || errno == ENOENT else {
        throw ApusError(
          .file, operation: path, "cannot be removed: \(String(cString: strerror(errno)))")
      }
    }
  }
}

import ApusDevice
import Foundation

/// Built programs on disk: one file per device, driver, source and options.
///
/// Entries are written to a temporary file and renamed, so a concurrent process sees a whole
/// entry or none; a checksum of key and binary tells an entry that is damaged or another program's, which
/// counts as missing.
package struct ProgramCache: Sendable {
  package let folder: String

  private static let magic: [UInt8] = Array("APUSBIN2".utf8)

  /// `$APUS_CACHE/programs`, `$XDG_CACHE_HOME/apus/programs` or `~/.cache/apus/programs`.
  package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let own = value("APUS_CACHE") {
      folder = own + "/programs"
    } else if let xdg = value("XDG_CACHE_HOME") {
      folder = xdg + "/apus/programs"
    } else {
      folder = (value("HOME") ?? NSTemporaryDirectory()) + "/.cache/apus/programs"
    }
  }

  /// In `programs` of a folder of the caller's, or where the environment says.
  init(root: String?) {
    self.init(
      environment: root.map { ["APUS_CACHE": $0] } ?? ProcessInfo.processInfo.environment)
  }

  func path(key: String) -> String { "\(folder)/\(key).bin" }

  /// The stored binary, or nil if there is none or the entry is damaged.
  package func load(key: String) -> [UInt8]? {
    guard let file = fopen(path(key: key), "rb") else { return nil }
    defer { fclose(file) }
    var header = [UInt8](repeating: 0, count: 24)
    guard fread(&header, 1, 24, file) == 24, Array(header[0..<8]) == Self.magic else { return nil }
    let length = Self.number(header[8..<16])
    guard length > 0, length < 1 << 30 else { return nil }
    var payload = [UInt8](repeating: 0, count: Int(length))
    guard fread(&payload, 1, payload.count, file) == payload.count, fgetc(file) == EOF,
      Self.checksum(payload, key) == Self.number(header[16..<24])
    else { return nil }
    return payload
  }

  /// Stores a binary; a cache that cannot be written only costs the next start a build.
  package func store(key: String, binary: [UInt8]) {
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let temporary = "\(folder)/\(key).\(getpid()).\(UInt64.random(in: 0...UInt64.max)).tmp"
    guard let file = fopen(temporary, "wb") else { return }
    let header =
      Self.magic + Self.bytes(UInt64(binary.count))
      + Self.bytes(Self.checksum(binary, key))
    let wrote =
      fwrite(header, 1, header.count, file) == header.count
      && fwrite(binary, 1, binary.count, file) == binary.count
    guard fclose(file) == 0, wrote, rename(temporary, path(key: key)) == 0 else {
      unlink(temporary)
      return
    }
  }

  /// Runs `body` while no other process builds the program of `key`; one that takes over a minute, or was
  /// stopped, is not waited for.
  ///
  /// Of processes that start at once one builds, and the others load what it has stored. Where all
  /// built into one cache of PoCL 3.1, the driver ended one of them in `readdir`, once in many runs.
  func alone<T>(key: String, _ body: () throws -> T) throws -> T {
    let locks = (folder as NSString).deletingLastPathComponent + "/locks"
    try? FileManager.default.createDirectory(atPath: locks, withIntermediateDirectories: true)
    var ended: Result<T, any Error>?
    try? FileLock.holding("\(locks)/\(key)", seconds: 60) { ended = Result { try body() } }
    // Where nothing can be locked, nothing can be stored either.
    return try ended?.get() ?? body()
  }

  /// What lies in the folder.
  package struct Census: Sendable {
    package var count = 0
    package var byteCount = 0
    /// Names of entries that are not what was written.
    package var damaged: [String] = []
    /// Files whose writer ended before it was done.
    package var leftovers = 0
  }

  /// Reads every entry.
  package func census() -> Census {
    var census = Census()
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names.sorted() {
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      census.byteCount += (attributes?[.size] as? Int) ?? 0
      if name.hasSuffix(".tmp") {
        // One that is being written now is not left over.
        let age = (attributes?[.modificationDate] as? Date).map { -$0.timeIntervalSinceNow } ?? 0
        if age > 60 { census.leftovers += 1 }
      } else if name.hasSuffix(".bin") {
        census.count += 1
        if load(key: String(name.dropLast(4))) == nil { census.damaged.append(name) }
      }
    }
    return census
  }

  /// 128 bits as hexadecimal digits: two FNV-1a passes with different offsets over all parts.
  static func key(_ parts: [[UInt8]]) -> String {
    var first = fnvOffset
    var second = fnvOffset ^ 0x9E37_79B9_7F4A_7C15
    for part in parts {
      first = fnv1a(bytes(UInt64(part.count)), from: first)
      first = fnv1a(part, from: first)
      second = fnv1a(part, from: second)
      second = fnv1a(bytes(UInt64(part.count)), from: second)
    }
    return hexadecimal(first) + hexadecimal(second)
  }

  private static func checksum(_ binary: [UInt8], _ key: String) -> UInt64 {
    fnv1a(binary, from: fnv1a(Array(key.utf8)))
  }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func bytes(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

private let fnvOffset: UInt64 = 0xCBF2_9CE4_8422_2325

/// FNV-1a, 64 bits (Fowler, Noll, Vo).
func fnv1a(_ bytes: [UInt8], from start: UInt64 = fnvOffset) -> UInt64 {
  var hash = start
  bytes.withUnsafeBufferPointer {
    for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }
  return hash
}

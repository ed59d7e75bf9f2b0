import ApusDevice
import Foundation

/// NumPy's format for several named arrays: a zip archive of NPY files.
public enum NPZ {
  /// The arrays by name (without `.npy`). Throws `.file` when the archive or one of them is damaged,
  /// or when they unpack to more than 4 GiB together.
  public static func read(_ path: String) throws -> [String: HostArray] {
    try decode(try FileContents.read(path), name: path)
  }

  public static func decode(_ bytes: [UInt8], name: String) throws -> [String: HostArray] {
    let archive = try ZipArchive(bytes, name: name)
    var arrays: [String: HostArray] = [:]
    var limit = Zlib.defaultLimit
    for entry in archive.entries {
      guard entry.name.hasSuffix(".npy") else {
        throw ApusError(
          .file, operation: name, "holds '\(entry.name)', but NPZ archives hold .npy files only")
      }
      let contents = try archive.contents(of: entry, limit: limit)
      limit -= contents.count
      let key = String(entry.name.dropLast(4))
      let array = try NPY.decode(contents, name: "\(name)/\(entry.name)")
      guard arrays.updateValue(array, forKey: key) == nil else {
        throw ApusError(.file, operation: name, "holds two arrays '\(key)'")
      }
    }
    return arrays
  }

  /// Writes an archive atomically, its arrays in the order of their names; `isDeflated` packs them as
  /// `numpy.savez_compressed` does.
  public static func write(
    _ arrays: [String: HostArray], to path: String, isDeflated: Bool = false
  ) throws {
    try AtomicFile.write(
      Data(try encode(arrays, isDeflated: isDeflated, name: path)), to: path)
  }

  /// The bytes of an NPZ file.
  public static func encode(
    _ arrays: [String: HostArray], isDeflated: Bool = false, name: String = "NPZ"
  ) throws -> [UInt8] {
    var writer = ZipWriter(name: name)
    for (key, array) in arrays.sorted(by: { $0.key < $1.key }) {
      guard !key.isEmpty, key.utf8.count < 1_000 else {
        throw ApusError(
          .value, operation: name, "an array's name must have 1 to 999 bytes, not \(key.utf8.count)"
        )
      }
      try writer.add(
        key + ".npy", try NPY.encode(array, name: "\(name)/\(key)"), deflated: isDeflated)
    }
    return try writer.finished()
  }
}

import ApusDevice
import Foundation

/// Whole files as bytes.
public enum FileContents {
  /// Reads a regular file. Throws `.file` when there is none at `path` or it cannot be read.
  public static func read(_ path: String) throws -> [UInt8] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw ApusError(.file, operation: path, "there is no such file")
    }
    guard !isDirectory.boolValue else {
      throw ApusError(.file, operation: path, "this is a folder, a file is needed")
    }
    do {
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw ApusError(.file, operation: path, "cannot be read: \(error.fileReason)")
    }
  }

  /// Reads a file and unpacks it where it is gzip (told by its first two bytes, not by its name).
  public static func readUnpacked(_ path: String) throws -> [UInt8] {
    let bytes = try read(path)
    return Zlib.isGzip(bytes) ? try Zlib.gunzip(bytes, name: path) : bytes
  }

  static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  static func isFolder(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
      && isDirectory.boolValue
  }
}

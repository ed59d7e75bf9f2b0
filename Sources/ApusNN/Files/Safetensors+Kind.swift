import Foundation

extension Safetensors {
  /// Whether a file begins as safetensors do, whatever its name: the length of a header in 8 bytes, then
  /// the brace that opens it. No JSON text does, for its eighth byte is no zero.
  public static func isBeginning(of path: String) -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? file.close() }
    guard let start = try? file.read(upToCount: 9), start.count == 9 else { return false }
    return start[8] == UInt8(ascii: "{") && start[7] == 0
  }

  /// Whether the bytes are JSON text, as a model description is.
  static func isText(_ data: Data) -> Bool {
    data.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "{")
      && !data.prefix(8).contains(0)
  }
}

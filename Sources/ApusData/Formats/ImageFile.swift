import ApusDevice

/// PNG and JPEG files, told apart by their first bytes.
public enum ImageFile {
  /// Endings of names, in lower case, by which a folder's images are found.
  public static let endings = ["jpg", "jpeg", "png"]

  /// What a file says of itself before its pixels are read.
  struct Header: Hashable, Sendable {
    /// As shown, after turning by the EXIF orientation.
    let width: Int
    let height: Int
    let isGray: Bool
  }

  /// Whether the name has one of the endings.
  public static func isNamed(_ path: String) -> Bool {
    guard let dot = path.lastIndex(of: ".") else { return false }
    return endings.contains(path[path.index(after: dot)...].lowercased())
  }

  /// Reads `uint8 [1 or 3, height, width]`, upright; transparency is laid over white. Throws `.file`
  /// for other formats, for damage and for too many pixels.
  public static func read(
    _ path: String, channels: PNG.Channels = .asStored, pixelLimit: Int = PNG.defaultPixelLimit
  ) throws -> HostArray {
    let bytes = try FileContents.read(path)
    if isJPEG(bytes) {
      return try JPEG.decode(bytes, name: path, channels: channels, pixelLimit: pixelLimit)
    }
    try requirePNG(bytes, path)
    return try PNG.decode(bytes, name: path, channels: channels, pixelLimit: pixelLimit)
  }

  static func header(_ bytes: [UInt8], name: String) throws -> Header {
    if isJPEG(bytes) { return try JPEG.header(bytes, name: name) }
    try requirePNG(bytes, name)
    return try PNG.header(bytes, name: name)
  }

  private static func isJPEG(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0xFF, 0xD8]) }

  private static func requirePNG(_ bytes: [UInt8], _ path: String) throws {
    guard bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) else {
      throw ApusError(
        .file, operation: path,
        bytes.isEmpty
          ? "is empty" : "is neither a PNG nor a JPEG image, as its first bytes tell")
    }
  }
}

import ApusDevice
import CPNGReader

/// PNG images through libpng.
///
/// Stored values are taken as they are: gamma and colour profiles are passed over, and of 16 bits the
/// high eight are kept.
public enum PNG {
  /// No image of more pixels is read unless a caller asks for it.
  public static let defaultPixelLimit = 1 << 25

  /// Channels of the result.
  public enum Channels: Sendable, Hashable {
    case gray, rgb
    /// Gray for gray files, RGB for others.
    case asStored
  }

  /// Reads `uint8 [1 or 3, height, width]`. Transparency is laid over `background`; colour becomes gray
  /// by ITU-R BT.601. Throws `.file` for damage and for images of more than `pixelLimit` pixels.
  public static func read(
    _ path: String, channels: Channels = .asStored, background: UInt8 = 255,
    pixelLimit: Int = defaultPixelLimit
  ) throws -> HostArray {
    try decode(
      try FileContents.read(path), name: path, channels: channels, background: background,
      pixelLimit: pixelLimit)
  }

  public static func decode(
    _ bytes: [UInt8], name: String, channels: Channels = .asStored, background: UInt8 = 255,
    pixelLimit: Int = defaultPixelLimit
  ) throws -> HostArray {
    let size = try storedSize(bytes, name: name)
    try requireSize(size, pixelLimit, byteCount: bytes.count, name)
    let depth = channels.count(stored: size.channels)
    var pixels = [UInt8](repeating: 0, count: depth * size.height * size.width)
    var message = [CChar](repeating: 0, count: Int(APUS_PNG_MESSAGE))
    let isRead = pixels.withUnsafeMutableBufferPointer { target in
      apus_png_decode(
        bytes, bytes.count, Int32(depth), background, target.baseAddress, target.count, &message)
    }
    guard isRead != 0 else { throw failure(message, name) }
    return try HostArray(pixels, shape: [depth, size.height, size.width])
  }

  /// Size and kind from the header alone. Throws also for more than the usual limit of pixels.
  static func header(_ bytes: [UInt8], name: String) throws -> ImageFile.Header {
    let size = try storedSize(bytes, name: name)
    try requireSize(size, defaultPixelLimit, byteCount: bytes.count, name)
    return ImageFile.Header(
      width: size.width, height: size.height, isGray: size.channels == 1)
  }

  private static func storedSize(
    _ bytes: [UInt8], name: String
  ) throws -> (width: Int, height: Int, channels: Int) {
    var size = apus_png_size()
    var message = [CChar](repeating: 0, count: Int(APUS_PNG_MESSAGE))
    guard apus_png_read_size(bytes, bytes.count, &size, &message) != 0 else {
      throw failure(message, name)
    }
    return (Int(size.width), Int(size.height), Int(size.channels))
  }

  /// Deflate packs at most 1 032 to 1 and a pixel has at least one bit, so a small file that claims
  /// many pixels lies; it is refused before memory is asked for.
  private static func requireSize(
    _ size: (width: Int, height: Int, channels: Int), _ limit: Int, byteCount: Int, _ name: String
  ) throws {
    try ImageFile.requireSize(
      size, limit: limit, byteCount: byteCount, pixelsPerByte: 8 * 1032, name)
  }

  private static func failure(_ message: [CChar], _ name: String) -> ApusError {
    return ApusError(.file, operation: name, "libpng: \(ImageFile.text(message))")
  }
}

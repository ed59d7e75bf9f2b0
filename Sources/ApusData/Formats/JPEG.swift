import ApusDevice
import CJPEGReader

/// JPEG images through libjpeg (libjpeg-turbo): baseline and progressive, gray, colour and CMYK.
public enum JPEG {
  /// Reads `uint8 [1 or 3, height, width]`, turned upright as the file's EXIF orientation says.
  ///
  /// CMYK becomes RGB without a colour profile. Throws `.file` for damage, for files that end early
  /// and for images of more than `pixelLimit` pixels.
  public static func read(
    _ path: String, channels: PNG.Channels = .asStored, pixelLimit: Int = PNG.defaultPixelLimit
  ) throws -> HostArray {
    try decode(
      try FileContents.read(path), name: path, channels: channels, pixelLimit: pixelLimit)
  }

  public static func decode(
    _ bytes: [UInt8], name: String, channels: PNG.Channels = .asStored,
    pixelLimit: Int = PNG.defaultPixelLimit
  ) throws -> HostArray {
    let size = try storedSize(bytes, name: name)
    try requireSize(size, pixelLimit, byteCount: bytes.count, name)
    let depth = channels.count(stored: size.channels)
    var pixels = [UInt8](repeating: 0, count: depth * size.height * size.width)
    var message = [CChar](repeating: 0, count: Int(APUS_JPEG_MESSAGE))
    let isRead = pixels.withUnsafeMutableBufferPointer { target in
      apus_jpeg_decode(
        bytes, bytes.count, Int32(depth), target.baseAddress, target.count, &message)
    }
    guard isRead != 0 else { throw failure(message, name) }
    let image = try HostArray(pixels, shape: [depth, size.height, size.width])
    return try EXIFOrientation(jpeg: bytes).upright(image)
  }

  /// The size as shown (after turning) and whether the file is gray, from the header alone. Throws
  /// also for more than the usual limit of pixels.
  static func header(_ bytes: [UInt8], name: String) throws -> ImageFile.Header {
    let size = try storedSize(bytes, name: name)
    try requireSize(size, PNG.defaultPixelLimit, byteCount: bytes.count, name)
    let isTurned = EXIFOrientation(jpeg: bytes).swapsAxes
    return ImageFile.Header(
      width: isTurned ? size.height : size.width, height: isTurned ? size.width : size.height,
      isGray: size.channels == 1)
  }

  private static func storedSize(
    _ bytes: [UInt8], name: String
  ) throws -> (width: Int, height: Int, channels: Int) {
    var size = apus_jpeg_size()
    var message = [CChar](repeating: 0, count: Int(APUS_JPEG_MESSAGE))
    guard apus_jpeg_read_size(bytes, bytes.count, &size, &message) != 0 else {
      throw failure(message, name)
    }
    return (Int(size.width), Int(size.height), Int(size.channels))
  }

  /// A block of 8 × 8 pixels takes at least a bit of some scan, so a small file that claims many
  /// pixels lies; it is refused before memory is asked for.
  private static func requireSize(
    _ size: (width: Int, height: Int, channels: Int), _ limit: Int, byteCount: Int, _ name: String
  ) throws {
    try ImageFile.requireSize(
      size, limit: limit, byteCount: byteCount, pixelsPerByte: 1024, name)
  }

  private static func failure(_ message: [CChar], _ name: String) -> ApusError {
    return ApusError(
      .file, operation: name, "the JPEG image is damaged or cut off: \(ImageFile.text(message))")
  }
}

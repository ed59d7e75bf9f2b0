import ApusDevice
import CPNG
import Foundation

/// PNG images through libpng's simplified interface.
public enum PNG {
  /// No image of more pixels is read unless a caller asks for it.
  public static let defaultPixelLimit = 1 << 25

  /// Channels of the result.
  public enum Channels: Sendable, Hashable {
    case gray, rgb
    /// Gray for gray files, RGB for others.
    case asStored
  }

  /// Reads `uint8 [1 or 3, height, width]`. Transparency is laid over `background`. Throws `.file`
  /// for damage and for images of more than `pixelLimit` pixels.
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
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }
    return try bytes.withUnsafeBytes { source in
      guard png_image_begin_read_from_memory(&image, source.baseAddress, source.count) != 0 else {
        throw failure(image, name)
      }
      let (width, height) = (Int(image.width), Int(image.height))
      try requireSize(width, height, pixelLimit, byteCount: source.count, name)
      let isGray =
        switch channels {
        case .gray: true
        case .rgb: false
        case .asStored: image.format & PNG_FORMAT_FLAG_COLOR == 0
        }
      image.format = isGray ? UInt32(PNG_FORMAT_GRAY) : PNG_FORMAT_RGB
      let depth = isGray ? 1 : 3
      var pixels = [UInt8](repeating: 0, count: width * height * depth)
      var color = png_color(red: background, green: background, blue: background)
      let isRead = pixels.withUnsafeMutableBytes {
        png_image_finish_read(&image, &color, $0.baseAddress, Int32(width * depth), nil)
      }
      guard isRead != 0 else { throw failure(image, name) }
      return try HostArray(
        isGray ? pixels : planar(pixels), shape: [depth, height, width])
    }
  }

  /// Size and kind from the header alone. Throws also for more than the usual limit of pixels.
  static func header(_ bytes: [UInt8], name: String) throws -> ImageFile.Header {
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }
    return try bytes.withUnsafeBytes { source in
      guard png_image_begin_read_from_memory(&image, source.baseAddress, source.count) != 0 else {
        throw failure(image, name)
      }
      let (width, height) = (Int(image.width), Int(image.height))
      try requireSize(width, height, defaultPixelLimit, byteCount: source.count, name)
      return ImageFile.Header(
        width: width, height: height,
        isGray: image.format & PNG_FORMAT_FLAG_COLOR == 0)
    }
  }

  /// Writes `uint8 [1 or 3, height, width]` atomically.
  public static func write(_ array: HostArray, to path: String) throws {
    try AtomicFile.write(Data(try encode(array, name: path)), to: path)
  }

  /// The bytes of a PNG file.
  public static func encode(_ array: HostArray, name: String = "PNG") throws -> [UInt8] {
    guard array.dtype == .uint8, array.shape.count == 3, [1, 3].contains(array.shape[0]),
      let height = UInt32(exactly: array.shape[1]), let width = UInt32(exactly: array.shape[2]),
      (1...1_000_000).contains(height), (1...1_000_000).contains(width)
    else {
      throw ApusError(
        .shape, operation: name,
        "an image is uint8 [1 or 3, height, width], not \(array.dtype) \(array.shape)")
    }
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    image.width = width
    image.height = height
    image.format = array.shape[0] == 1 ? UInt32(PNG_FORMAT_GRAY) : PNG_FORMAT_RGB
    defer { png_image_free(&image) }
    let pixels = array.shape[0] == 1 ? array.bytes : interleaved(array.bytes)
    let stride = Int32(width) * Int32(array.shape[0])
    return try pixels.withUnsafeBytes { source in
      var count = 0
      guard
        png_image_write_to_memory(&image, nil, &count, 0, source.baseAddress, stride, nil) != 0
      else { throw failure(image, name) }
      var bytes = [UInt8](repeating: 0, count: count)
      let isWritten = bytes.withUnsafeMutableBytes {
        png_image_write_to_memory(
          &image, $0.baseAddress, &count, 0, source.baseAddress, stride, nil)
      }
      guard isWritten != 0 else { throw failure(image, name) }
      return Array(bytes.prefix(count))
    }
  }

  /// Deflate packs at most 1 032 to 1 and a pixel has at least one bit, so a small file that claims
  /// many pixels lies; it is refused before memory is asked for.
  private static func requireSize(
    _ width: Int, _ height: Int, _ limit: Int, byteCount: Int, _ name: String
  ) throws {
    guard width * height <= limit else {
      throw ApusError(
        .file, operation: name,
        "has \(width) × \(height) pixels; images of more than \(limit) pixels are refused")
    }
    guard width * height / 8 / 1032 <= byteCount else {
      throw ApusError(
        .file, operation: name,
        "claims \(width) × \(height) pixels, which \(byteCount) bytes cannot hold")
    }
  }

  private static func planar(_ pixels: [UInt8]) -> [UInt8] {
    var planes: [UInt8] = []
    planes.reserveCapacity(pixels.count)
    for channel in 0..<3 {
      for index in stride(from: channel, to: pixels.count, by: 3) { planes.append(pixels[index]) }
    }
    return planes
  }

  private static func interleaved(_ planes: [UInt8]) -> [UInt8] {
    let size = planes.count / 3
    var pixels: [UInt8] = []
    pixels.reserveCapacity(planes.count)
    for index in 0..<size {
      for channel in 0..<3 { pixels.append(planes[channel * size + index]) }
    }
    return pixels
  }

  private static func failure(_ image: png_image, _ name: String) -> ApusError {
    let message = withUnsafeBytes(of: image.message) { text in
      String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
    }
    return ApusError(.file, operation: name, "libpng: \(message)")
  }
}

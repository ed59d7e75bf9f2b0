import ApusDevice
import CPNG
import Foundation

/// Writing, through libpng's simplified interface.
extension PNG {
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

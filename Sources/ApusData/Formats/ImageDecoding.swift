import ApusDevice

// What the decoders in C have in common.

extension PNG.Channels {
  /// How many planes are read of a file that has `stored`.
  func count(stored: Int) -> Int {
    switch self {
    case .gray: 1
    case .rgb: 3
    case .asStored: stored
    }
  }
}

extension ImageFile {
  /// Refuses an image before memory is asked for: of more pixels than the limit, or of more than its bytes can
  /// hold at `pixelsPerByte`, which only a file that lies claims.
  static func requireSize(
    _ size: (width: Int, height: Int, channels: Int), limit: Int, byteCount: Int,
    pixelsPerByte: Int, _ name: String
  ) throws {
    let pixels = size.width * size.height
    guard pixels <= limit else {
      throw ApusError(
        .file, operation: name,
        "has \(size.width) × \(size.height) pixels; images of more than \(limit) pixels are refused"
      )
    }
    guard pixels / pixelsPerByte <= byteCount else {
      throw ApusError(
        .file, operation: name,
        "claims \(size.width) × \(size.height) pixels, which \(byteCount) bytes cannot hold")
    }
  }

  /// A decoder's message, which ends at the first zero.
  static func text(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

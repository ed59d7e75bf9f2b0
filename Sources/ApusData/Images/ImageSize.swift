import ApusDevice

/// Height and width of images in pixels.
public struct ImageSize: Sendable, Hashable, Codable, CustomStringConvertible {
  /// What an extent may be.
  public static let sides = 1...4096

  public let height: Int
  public let width: Int

  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  /// A square.
  public init(_ side: Int) { self.init(height: side, width: side) }

  public var description: String { "\(width)x\(height)" }

  /// Throws unless both extents are among ``sides``.
  func validate() throws {
    guard Self.sides.contains(height), Self.sides.contains(width) else {
      throw ApusError(
        .value, operation: "image size", "\(self) is not within 1x1 to 4096x4096 pixels")
    }
  }
}

extension HostArray {
  /// An image `uint8 [C, height, width]` scaled so that it just covers `size`, then cut to it around
  /// its centre: for a square, the short side becomes its side. Throws for other arrays.
  public func imageCovering(_ size: ImageSize) throws -> HostArray {
    try size.validate()
    guard dtype == .uint8, shape.count == 3, !shape.contains(0) else {
      throw ApusError(
        .shape, operation: "image", "an image is uint8 [C, height, width], not \(dtype) \(shape)")
    }
    let source = ImageSize(height: shape[1], width: shape[2])
    guard source != size else { return self }
    let scale = max(
      Double(size.height) / Double(source.height), Double(size.width) / Double(source.width))
    let scaled = ImageSize(
      height: max(Int((Double(source.height) * scale).rounded()), size.height),
      width: max(Int((Double(source.width) * scale).rounded()), size.width))
    let (top, left) = ((scaled.height - size.height) / 2, (scaled.width - size.width) / 2)
    let resample = Resampling(
      from: source, to: scaled,
      window: (top..<top + size.height, left..<left + size.width))
    let values = resample(bytes, channels: shape[0])
    return try HostArray(
      values.map { UInt8(min(max($0.rounded(), 0), 255)) },
      shape: [shape[0], size.height, size.width])
  }
}

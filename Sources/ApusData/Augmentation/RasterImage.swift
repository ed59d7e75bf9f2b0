import ApusDevice

/// One image on its way through augmentation.
public struct RasterImage: Sendable, Hashable {
  /// Row-major `[channels, height, width]`.
  public internal(set) var values: [Float]
  public let channels: Int
  public let height: Int
  public let width: Int
  /// What lies outside the image, one value per channel: padding, corners of turned images, cut-out
  /// squares.
  public let background: [Float]
  /// The value of a pixel as bright as can be.
  public let maximum: Float

  /// - Parameters:
  ///   - values: Row-major `[channels, height, width]`.
  ///   - shape: `[channels, height, width]`, with 1 or 3 channels.
  ///   - background: One value per channel; 0 for nil.
  ///   - maximum: 255 for bytes.
  /// - Throws: ``ApusError`` for other shapes and counts.
  public init(
    _ values: [Float], shape: [Int], background: [Float]? = nil, maximum: Float = 255
  ) throws {
    guard shape.count == 3, let count = HostArray.elementCount(of: shape), count > 0,
      count == values.count
    else {
      throw ApusError(
        .shape, operation: "augment",
        "\(values.count) values of shape \(shape) are no image [channels, height, width]")
    }
    let background = background ?? [Float](repeating: 0, count: shape[0])
    guard background.count == shape[0] else {
      throw ApusError(
        .shape, operation: "augment",
        "the background has \(background.count) values for \(shape[0]) channels")
    }
    self.values = values
    (channels, height, width) = (shape[0], shape[1], shape[2])
    self.background = background
    self.maximum = maximum
  }

  /// `[channels, height, width]`.
  public var shape: [Int] { [channels, height, width] }

  /// The part that begins `rows` below and `columns` right of the corner; what was outside is
  /// background.
  package mutating func shift(rows: Int, columns: Int) {
    guard rows != 0 || columns != 0 else { return }
    let lead = min(max(-columns, 0), width)
    let trail = min(max(columns, 0), width)
    var moved: [Float] = []
    moved.reserveCapacity(values.count)
    for channel in 0..<channels {
      for row in 0..<height {
        let source = row + rows
        guard source >= 0, source < height, lead + trail < width else {
          moved.append(contentsOf: repeatElement(background[channel], count: width))
          continue
        }
        let begin = (channel * height + source) * width
        moved.append(contentsOf: repeatElement(background[channel], count: lead))
        moved.append(contentsOf: values[begin + trail..<begin + width - lead])
        moved.append(contentsOf: repeatElement(background[channel], count: trail))
      }
    }
    values = moved
  }
}

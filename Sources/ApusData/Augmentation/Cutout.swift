import ApusDevice

/// Covers a square with background; its centre is any pixel, so it may reach over the border.
///
/// Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout",
/// arXiv:1708.04552.
public struct Cutout: ImageTransform {
  public static let form = "cutout:SIDE"
  public let side: Int

  public init(argument: String?) throws { side = try Self.pixels(argument, in: 1...4096) }

  public var description: String { "cutout:\(side)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    let (top, left) = (
      draws.below(image.height) - side / 2, draws.below(image.width) - side / 2
    )
    let rows = max(top, 0)..<min(top + side, image.height)
    let columns = max(left, 0)..<min(left + side, image.width)
    for channel in 0..<image.channels {
      for row in rows {
        let begin = (channel * image.height + row) * image.width
        for column in columns { image.values[begin + column] = image.background[channel] }
      }
    }
  }
}

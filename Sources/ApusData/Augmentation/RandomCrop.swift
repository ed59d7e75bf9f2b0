import ApusDevice

/// A part of the image's own size out of the image with a border of background: a shift by at most
/// the border in each direction.
public struct RandomCrop: ImageTransform {
  public static let form = "crop:PADDING"
  public let padding: Int

  public init(argument: String?) throws { padding = try Self.pixels(argument, in: 1...4096) }

  public var description: String { "crop:\(padding)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    let rows = draws.below(2 * padding + 1) - padding
    let columns = draws.below(2 * padding + 1) - padding
    image.shift(rows: rows, columns: columns)
  }
}

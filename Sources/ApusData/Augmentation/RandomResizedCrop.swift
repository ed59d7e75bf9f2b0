import ApusDevice
import Foundation

/// A part of random area and aspect ratio, scaled to the size of the image.
///
/// Source: Szegedy and others, "Going deeper with convolutions", 2015; the draw is torchvision's: ten
/// tries of an area share and of a ratio within 3/4 to 4/3 of width to height, then the whole image.
public struct RandomResizedCrop: ImageTransform {
  public static let form = "resized-crop:LOW-HIGH"
  /// Shares of the image's area.
  public let area: ClosedRange<Float>

  public init(argument: String?) throws {
    area = try Self.interval(argument, in: 0.01...1)
  }

  public var description: String { "resized-crop:\(area.lowerBound)-\(area.upperBound)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    let size = ImageSize(height: image.height, width: image.width)
    for _ in 0..<10 {
      let share = Double(draws.uniform(in: area)) * Double(size.height) * Double(size.width)
      // Even in the logarithm: 3/4 · (16/9)^u.
      let ratio = 0.75 * pow(16.0 / 9, Double(draws.uniform()))
      let (width, height) = (
        Int((share * ratio).squareRoot().rounded()), Int((share / ratio).squareRoot().rounded())
      )
      let (row, column) = (
        draws.below(size.height - height + 1), draws.below(size.width - width + 1)
      )
      guard height > 0, width > 0, height <= size.height, width <= size.width else { continue }
      let part = ImageSize(height: height, width: width)
      guard part != size else { return }
      let resample = Resampling(
        from: part, to: size, window: (0..<size.height, 0..<size.width))
      image.values = resample(
        image.values, channels: image.channels, origin: (row, column), planeHeight: size.height,
        stride: size.width)
      return
    }
  }
}

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
    let size = ImageSize(height: image.height, width: image.width)
    guard let part = part(of: size, key: key), part.size != size else { return }
    let resample = Resampling(
      from: part.size, to: size, window: (0..<size.height, 0..<size.width))
    image.values = resample(
      image.values, channels: image.channels, origin: (part.row, part.column),
      planeHeight: size.height, stride: size.width)
  }

  /// The same of a photo `uint8 [C, height, width]`, whose part is scaled to `size` but once.
  /// - Returns: Row-major `[C] + size`.
  func cut(_ photo: HostArray, to size: ImageSize, key: RandomKey) throws -> [Float] {
    let whole = ImageSize(height: photo.shape[1], width: photo.shape[2])
    guard let part = part(of: whole, key: key) else {
      return try photo.imageCovering(size).floats()
    }
    let resample = Resampling(
      from: part.size, to: size, window: (0..<size.height, 0..<size.width))
    return resample(
      photo.bytes, channels: photo.shape[0], origin: (part.row, part.column),
      planeHeight: whole.height, stride: whole.width)
  }

  /// nil for the whole image.
  private func part(
    of whole: ImageSize, key: RandomKey
  ) -> (row: Int, column: Int, size: ImageSize)? {
    var draws = Draws(key: key)
    for _ in 0..<10 {
      let share = Double(draws.uniform(in: area)) * Double(whole.height) * Double(whole.width)
      // Even in the logarithm: 3/4 · (16/9)^u.
      let ratio = 0.75 * pow(16.0 / 9, Double(draws.uniform()))
      let (width, height) = (
        Int((share * ratio).squareRoot().rounded()), Int((share / ratio).squareRoot().rounded())
      )
      let (row, column) = (
        draws.below(whole.height - height + 1), draws.below(whole.width - width + 1)
      )
      guard height > 0, width > 0, height <= whole.height, width <= whole.width else { continue }
      return (row, column, ImageSize(height: height, width: width))
    }
    return nil
  }
}

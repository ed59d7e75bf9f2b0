import ApusDevice

/// Changes brightness, then contrast, then saturation (of colour images), each by a factor within
/// `1 ± strength`.
///
/// The three are torchvision's: a mixture with black, with the mean of the gray image, with the gray
/// image (0.2989 R + 0.587 G + 0.114 B), clamped to `0...maximum`.
public struct ColorJitter: ImageTransform {
  public static let form = "color:STRENGTH"
  public let strength: Float

  public init(argument: String?) throws { strength = try Self.number(argument, in: 0...1) }

  public var description: String { "color:\(strength)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    let factors = (0..<3).map { _ in draws.uniform(in: 1 - strength...1 + strength) }
    image.adjust(brightness: factors[0], contrast: factors[1], saturation: factors[2])
  }
}

extension RasterImage {
  package mutating func adjust(brightness: Float, contrast: Float, saturation: Float) {
    for index in values.indices { values[index] = clamped(values[index] * brightness) }
    let gray = grayPlane()
    let mean = Float(gray.reduce(0.0) { $0 + Double($1) } / Double(gray.count))
    for index in values.indices {
      values[index] = clamped(mean + (values[index] - mean) * contrast)
    }
    guard channels == 3 else { return }
    let shades = grayPlane()
    for channel in 0..<3 {
      let begin = channel * shades.count
      for index in shades.indices {
        let shade = shades[index]
        values[begin + index] = clamped(shade + (values[begin + index] - shade) * saturation)
      }
    }
  }

  private func clamped(_ value: Float) -> Float { min(max(value, 0), maximum) }

  /// `[height · width]`: the gray image; of other than three channels the first.
  private func grayPlane() -> [Float] {
    let plane = height * width
    guard channels == 3 else { return Array(values[..<plane]) }
    return (0..<plane).map { index in
      0.2989 * values[index] + 0.587 * values[plane + index] + 0.114 * values[2 * plane + index]
    }
  }
}

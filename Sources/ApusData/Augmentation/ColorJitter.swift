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
    let limit = maximum
    func clamped(_ value: Float) -> Float { value < 0 ? 0 : value > limit ? limit : value }
    // A local array is unique, which the compiler need not find out at every pixel.
    var pixels = values
    for index in pixels.indices { pixels[index] = clamped(pixels[index] * brightness) }
    var sum = 0.0
    for shade in gray(pixels) { sum += Double(shade) }
    let mean = Float(sum / Double(height * width))
    for index in pixels.indices {
      pixels[index] = clamped(mean + (pixels[index] - mean) * contrast)
    }
    if channels == 3 {
      let shades = gray(pixels)
      for channel in 0..<3 {
        let begin = channel * shades.count
        for (index, shade) in shades.enumerated() {
          pixels[begin + index] = clamped(shade + (pixels[begin + index] - shade) * saturation)
        }
      }
    }
    values = pixels
  }

  /// `[height · width]`: the gray image; of other than three channels the first.
  private func gray(_ pixels: [Float]) -> [Float] {
    let plane = height * width
    guard channels == 3 else { return Array(pixels[..<plane]) }
    var shades: [Float] = []
    shades.reserveCapacity(plane)
    for index in 0..<plane {
      shades.append(
        0.2989 * pixels[index] + 0.587 * pixels[plane + index] + 0.114 * pixels[2 * plane + index])
    }
    return shades
  }
}

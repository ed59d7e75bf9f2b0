import ApusDevice

/// Left and right change places, with a probability.
public struct HorizontalFlip: ImageTransform {
  public static let form = "flip[:PROBABILITY]"
  public let probability: Float

  public init(argument: String? = nil) throws {
    probability = try Self.number(argument, in: 0...1, missing: 0.5)
  }

  public var description: String { probability == 0.5 ? "flip" : "flip:\(probability)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    guard draws.uniform() < probability else { return }
    let width = image.width
    for begin in stride(from: 0, to: image.values.count, by: width) {
      for column in 0..<width / 2 {
        image.values.swapAt(begin + column, begin + width - 1 - column)
      }
    }
  }
}

/// Top and bottom change places, with a probability.
public struct VerticalFlip: ImageTransform {
  public static let form = "vflip[:PROBABILITY]"
  public let probability: Float

  public init(argument: String? = nil) throws {
    probability = try Self.number(argument, in: 0...1, missing: 0.5)
  }

  public var description: String { probability == 0.5 ? "vflip" : "vflip:\(probability)" }

  public func apply(to image: inout RasterImage, key: RandomKey) {
    var draws = Draws(key: key)
    guard draws.uniform() < probability else { return }
    let (height, width) = (image.height, image.width)
    for channel in 0..<image.channels {
      for row in 0..<height / 2 {
        let upper = (channel * height + row) * width
        let lower = (channel * height + height - 1 - row) * width
        for column in 0..<width { image.values.swapAt(upper + column, lower + column) }
      }
    }
  }
}

import ApusDevice

/// Enlarges or shrinks about the centre by a factor of an interval.
public struct Scale: AffineTransform {
  public static let form = "scale:LOW-HIGH"
  public let factors: ClosedRange<Float>

  public init(argument: String?) throws {
    factors = try Self.interval(argument, in: 0.1...10)
  }

  public var description: String { "scale:\(factors.lowerBound)-\(factors.upperBound)" }

  func map(height: Int, width: Int, key: RandomKey) -> AffineMap {
    var draws = Draws(key: key)
    let inverse = AffineMap.coarse(1 / Double(draws.uniform(in: factors)))
    return AffineMap(xx: inverse, yy: inverse)
  }
}

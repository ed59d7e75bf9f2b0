import ApusDevice
import Foundation

/// Turns about the centre by an angle within ± degrees, counterclockwise where positive.
public struct Rotate: AffineTransform {
  public static let form = "rotate:DEGREES"
  public let degrees: Float

  public init(argument: String?) throws { degrees = try Self.number(argument, in: 0...180) }

  public var description: String { "rotate:\(degrees)" }

  func map(height: Int, width: Int, key: RandomKey) -> AffineMap {
    var draws = Draws(key: key)
    return Rotate.map(degrees: Double(draws.uniform(in: -degrees...degrees)))
  }

  package static func map(degrees: Double) -> AffineMap {
    let angle = degrees * .pi / 180
    let (sine, cosine) = (AffineMap.coarse(sin(angle)), AffineMap.coarse(cos(angle)))
    return AffineMap(xx: cosine, xy: -sine, yx: sine, yy: cosine)
  }
}

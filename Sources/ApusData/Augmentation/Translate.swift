import ApusDevice

/// Moves by whole pixels, at most a share of the width and of the height.
public struct Translate: AffineTransform {
  public static let form = "translate:SHARE"
  public let share: Float

  public init(argument: String?) throws { share = try Self.number(argument, in: 0...1) }

  public var description: String { "translate:\(share)" }

  func map(height: Int, width: Int, key: RandomKey) -> AffineMap {
    var draws = Draws(key: key)
    var map = AffineMap()
    map.x = -Double((draws.uniform(in: -share...share) * Float(width)).rounded())
    map.y = -Double((draws.uniform(in: -share...share) * Float(height)).rounded())
    return map
  }
}

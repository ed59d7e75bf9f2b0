/// A height and a width; a whole number stands for both: `3` is `Size2D(3, 3)`.
public struct Size2D: Sendable, Hashable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  public var height: Int
  public var width: Int

  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  public init(_ both: Int) { self.init(both, both) }
  public init(integerLiteral both: Int) { self.init(both, both) }

  public var description: String { "(\(height), \(width))" }
  var pair: (Int, Int) { (height, width) }
}

import ApusDevice

/// A random change of one image: a function of the image and a key alone, the same on every machine.
public protocol ImageTransform: Sendable, CustomStringConvertible {
  /// How a text names it, such as `crop:PIXELS`; what follows the colon is the argument.
  static var form: String { get }

  /// - Parameter argument: What follows the colon; nil where there is none.
  /// - Throws: ``ApusError`` for arguments out of range.
  init(argument: String?) throws

  /// Changes values; the shape stays.
  func apply(to image: inout RasterImage, key: RandomKey)
}

extension ImageTransform {
  /// The part of ``form`` before the colon.
  static var name: String { String(form.prefix { $0 != ":" && $0 != "[" }) }

  static func refusal(_ argument: String?, _ rule: String) -> ApusError {
    ApusError(
      .value, operation: "augment",
      "'\(name)\(argument.map { ":" + $0 } ?? "")': \(rule); the form is \(form)")
  }

  /// A finite number of `range`, or `missing` where there is no argument.
  static func number(
    _ argument: String?, in range: ClosedRange<Float>, missing: Float? = nil
  ) throws -> Float {
    if argument == nil, let missing { return missing }
    guard let argument, let value = Float(argument), range.contains(value) else {
      throw refusal(argument, "a number within \(range) is needed")
    }
    return value
  }

  /// Whole pixels of `range`.
  static func pixels(_ argument: String?, in range: ClosedRange<Int>) throws -> Int {
    guard let argument, let value = Int(argument), range.contains(value) else {
      throw refusal(argument, "a whole number of pixels within \(range) is needed")
    }
    return value
  }

  /// Two ascending numbers `LOW-HIGH` within `range`.
  static func interval(
    _ argument: String?, in range: ClosedRange<Float>
  ) throws -> ClosedRange<Float> {
    let parts = (argument ?? "").split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let low = Float(parts[0]), let high = Float(parts[1]),
      range.contains(low), range.contains(high), low <= high
    else {
      throw refusal(argument, "two ascending numbers LOW-HIGH within \(range) are needed")
    }
    return low...high
  }
}

extension Draws {
  /// A number of `[0, 1)`.
  mutating func uniform() -> Float { Philox.uniform(word()) }

  /// A number of `range`.
  mutating func uniform(in range: ClosedRange<Float>) -> Float {
    range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
  }
}

import Foundation

/// An amount of memory, in bytes and in words: `2GiB`, `1.5 MiB`, `640000`.
public struct ByteSize: Sendable, Hashable, CustomStringConvertible {
  public let bytes: Int

  public init(_ bytes: Int) { self.bytes = bytes }

  /// Reads a number with a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB` (also `K`, `M`, `G`, `T`) count in
  /// steps of 1024, `KB`, `MB`, `GB`, `TB` in steps of 1000; without a unit it is bytes. Nil for anything
  /// else, and for what is not positive or no `Int` holds.
  public init?(_ text: String) {
    let trimmed = text.trimmingCharacters(in: .whitespaces)
    let digits = trimmed.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = trimmed.dropFirst(digits.count).trimmingCharacters(in: .whitespaces).lowercased()
    let prefixes = ["k": 1.0, "m": 2, "g": 3, "t": 4]
    let factor: Double
    if unit.isEmpty || unit == "b" {
      factor = 1
    } else {
      guard let power = prefixes[String(unit.prefix(1))] else { return nil }
      switch unit.dropFirst() {
      case "", "ib": factor = pow(1024, power)
      case "b": factor = pow(1000, power)
      default: return nil
      }
    }
    guard let number = Double(digits), let bytes = Int(exactly: (number * factor).rounded()),
      bytes > 0
    else { return nil }
    self.bytes = bytes
  }

  public var description: String {
    let magnitude = Double(bytes)
    for (unit, size) in [("TiB", 0x1p40), ("GiB", 0x1p30), ("MiB", 0x1p20), ("KiB", 0x1p10)]
    where magnitude >= size {
      return String(format: magnitude / size >= 100 ? "%.0f %@" : "%.3g %@", magnitude / size, unit)
    }
    return "\(bytes) B"
  }
}

import ApusDevice

extension Preprocessing.Kind {
  /// The names that ``init(named:)`` takes, for help texts.
  public static var names: [String] {
    ["none", "standardize", "min-max", "channels", "scale=FACTOR"]
      + Preprocessing.SampleNorm.allCases.map { "normalize-\($0.rawValue)" }
  }

  /// A method by its name: `none`, `standardize`, `min-max`, `channels`, `scale=0.5`, `scale=1/255`,
  /// `normalize-l2`. Throws `.value` for others.
  public init(named name: String) throws {
    switch name {
    case "none": self = .none
    case "standardize": self = .standardize
    case "min-max": self = .minMax
    case "channels": self = .standardizeChannels
    default:
      if name.hasPrefix("normalize-"),
        let norm = Preprocessing.SampleNorm(rawValue: String(name.dropFirst(10)))
      {
        self = .normalizeSample(norm)
      } else if name.hasPrefix("scale="), let factor = Self.factor(name.dropFirst(6)) {
        self = .scale(by: factor)
      } else {
        throw ApusError(
          .value, operation: "Preprocessing",
          "'\(name)' is unknown; known are \(Self.names.joined(separator: ", "))")
      }
    }
  }

  /// A finite number other than 0, or a quotient of two.
  private static func factor(_ text: Substring) -> Float? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Float($0) }
    guard parts.count <= 2, let numerator = parts[0],
      let denominator = parts.count == 2 ? parts[1] : 1
    else { return nil }
    let factor = numerator / denominator
    return factor.isFinite && factor != 0 ? factor : nil
  }
}

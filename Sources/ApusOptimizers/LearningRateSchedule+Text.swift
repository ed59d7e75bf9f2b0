import ApusDevice

/// The short form of a schedule, such as `step:30,0.1`, as commands and files have it.
extension LearningRateSchedule: CustomStringConvertible, Codable {
  /// The forms that ``init(_:)`` takes; what stands in brackets may be left out.
  public static let forms =
    "constant, linear, cosine, step:EPOCHS[,FACTOR], multistep:EPOCH,…,FACTOR, "
    + "exponential:FACTOR, onecycle[:RATE], plateau[:FACTOR,PATIENCE]"

  /// Reads the short form.
  /// - Throws: ``ApusError`` that lists the forms.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let numbers = try parts.dropFirst().first.map { list in
      try list.split(separator: ",", omittingEmptySubsequences: false).map {
        guard let number = Double($0) else { throw Self.unreadable(text) }
        return number
      }
    }
    switch (parts.first ?? "", numbers) {
    case ("constant", nil): self = .constant
    case ("linear", nil): self = .linear
    case ("cosine", nil): self = .cosine
    case ("step", .some(let n)) where (1...2).contains(n.count):
      self = .step(epochs: try Self.whole(n[0], text), factor: n.count == 2 ? n[1] : 0.1)
    case ("multistep", .some(let n)) where n.count >= 2:
      self = .multiStep(
        milestones: try n.dropLast().map { try Self.whole($0, text) }, factor: n[n.count - 1])
    case ("exponential", .some(let n)) where n.count == 1: self = .exponential(factor: n[0])
    case ("onecycle", nil): self = .oneCycle()
    case ("onecycle", .some(let n)) where n.count == 1: self = .oneCycle(maximum: n[0])
    case ("plateau", nil): self = .plateau()
    case ("plateau", .some(let n)) where n.count == 2:
      self = .plateau(factor: n[0], patience: try Self.whole(n[1], text))
    default: throw Self.unreadable(text)
    }
    try validate()
  }

  private static func unreadable(_ text: String) -> ApusError {
    ApusError(.value, operation: "schedule", "'\(text)' is none of \(forms)")
  }

  private static func whole(_ number: Double, _ text: String) throws -> Int {
    guard let whole = Int(exactly: number) else {
      throw ApusError(
        .value, operation: "schedule",
        "'\(text)' has \(number) where a whole number of epochs is needed; the forms are \(forms)")
    }
    return whole
  }

  /// - Throws: ``ApusError`` where a number is out of its range.
  public func validate() throws {
    func require(_ isFine: Bool, _ rule: String) throws {
      if !isFine { throw ApusError(.value, operation: "schedule", "'\(self)': \(rule)") }
    }
    func requireFactor(_ factor: Double) throws {
      try require(factor.isFinite && factor > 0, "the factor must be finite and positive")
    }
    switch self {
    case .constant, .linear, .cosine: return
    case .step(let epochs, let factor):
      try require(epochs >= 1, "the number of epochs must be positive")
      try requireFactor(factor)
    case .multiStep(let milestones, let factor):
      try require(
        !milestones.isEmpty && milestones[0] >= 1
          && zip(milestones, milestones.dropFirst()).allSatisfy { $0 < $1 },
        "the epochs must be positive and ascending, the factor comes last")
      try requireFactor(factor)
    case .exponential(let factor): try requireFactor(factor)
    case .oneCycle(let maximum):
      try require(
        maximum.map { $0 > 0 && Float($0).isFinite } ?? true,
        "the largest rate must be finite and positive")
    case .plateau(let factor, let patience):
      try require(factor > 0 && factor < 1, "the factor must lie between 0 and 1")
      try require(patience >= 0, "the patience must not be negative")
    }
  }

  public var description: String {
    switch self {
    case .constant: "constant"
    case .linear: "linear"
    case .cosine: "cosine"
    case .step(let epochs, let factor): "step:\(epochs),\(factor)"
    case .multiStep(let milestones, let factor):
      "multistep:" + milestones.map { "\($0)," }.joined() + "\(factor)"
    case .exponential(let factor): "exponential:\(factor)"
    case .oneCycle(let maximum): "onecycle" + (maximum.map { ":\($0)" } ?? "")
    case .plateau(let factor, let patience): "plateau:\(factor),\(patience)"
    }
  }

  public init(from decoder: any Decoder) throws {
    try self.init(decoder.singleValueContainer().decode(String.self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

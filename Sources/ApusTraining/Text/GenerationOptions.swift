import ApusDevice
import Foundation

/// How tokens are drawn.
public struct GenerationOptions: Sendable, Hashable {
  /// Tokens to draw.
  public var length = 200
  /// What the logits are divided by: below 1 likely tokens become likelier, at 0 the likeliest is taken.
  public var temperature = 1.0
  /// Only so many of the likeliest tokens are drawn from; all for nil.
  public var topK: Int?
  /// Only the likeliest tokens that together have this probability are drawn from; all for nil
  /// (nucleus sampling, Holtzman et al. 2020).
  public var topP: Double?
  public var seed: UInt64 = 0

  public init(
    length: Int = 200, temperature: Double = 1, topK: Int? = nil, topP: Double? = nil,
    seed: UInt64 = 0
  ) {
    self.length = length
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
  }

  /// - Throws: ``ApusError`` naming the option that is out of range.
  public func validate() throws {
    func require(_ isFine: Bool, _ message: @autoclosure () -> String) throws {
      if !isFine { throw ApusError(.value, operation: "generate", message()) }
    }
    try require(
      (0...1_000_000_000).contains(length), "length must be within 0...1000000000, not \(length)")
    try require(
      temperature.isFinite && temperature >= 0,
      "temperature must be finite and not negative, not \(temperature)")
    if let topK { try require(topK >= 1, "top-k must be at least 1, not \(topK)") }
    if let topP {
      try require(topP > 0 && topP <= 1, "top-p must be above 0 and at most 1, not \(topP)")
    }
  }

  /// Draws a token: temperature first, then top-k, then top-p.
  /// - Parameters:
  ///   - logits: `[vocabulary]`; those of the special tokens do not count.
  ///   - step: The number of the draw, from 0.
  /// - Returns: nil where no logit is finite.
  package func draw(_ logits: [Float], specialCount: Int, step: Int) -> Int32? {
    // The likeliest first, of equals the smaller token.
    var ranked = logits.indices.dropFirst(specialCount).filter { logits[$0].isFinite }
      .sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }
    guard let best = ranked.first else { return nil }
    guard temperature > 0 else { return Int32(clamping: best) }
    if let topK { ranked.removeLast(max(ranked.count - topK, 0)) }
    let highest = Double(logits[best])
    var weights = ranked.map { exp((Double(logits[$0]) - highest) / temperature) }
    if let topP {
      let total = weights.reduce(0, +)
      var sum = 0.0
      let kept = weights.firstIndex { weight in
        sum += weight
        return sum >= topP * total
      }
      if let kept { weights.removeLast(weights.count - kept - 1) }
    }
    let block = Philox.block(key: RandomKey(seed).value, counter: UInt64(clamping: step))
    // 53 bits, below 1.
    let bits = UInt64(block[0]) << 21 | UInt64(block[1]) >> 11
    var rest = Double(bits) * 0x1p-53 * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return Int32(clamping: ranked[index]) }
    }
    return Int32(clamping: ranked[weights.count - 1])
  }
}

import ApusDevice
import Foundation

/// Mixes the examples of a batch in pairs; the loss is mixed in the same way:
/// `share · loss(y) + (1 − share) · loss(y of the partner)`.
///
/// Source: Zhang, Cissé, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization",
/// arXiv:1710.09412. The share is drawn from Beta(α, α), one for the batch.
public struct Mixup: Sendable, Hashable {
  static let form = "mixup:ALPHA"
  public let alpha: Float

  /// - Throws: ``ApusError`` unless `alpha` is within 0.01...100.
  public init(alpha: Float) throws {
    guard (0.01...100).contains(alpha) else {
      throw ApusError(
        .value, operation: "augment",
        "'mixup:\(alpha)': a number within 0.01...100 is needed; the form is \(Mixup.form)")
    }
    self.alpha = alpha
  }

  /// What the examples of a batch are mixed with.
  public struct Pairing: Sendable, Hashable {
    /// How much of each example stays.
    public let share: Float
    /// `[count]`: the partner of each example, as a position in the batch.
    public let partners: [Int]
  }

  public func pairing(count: Int, key: RandomKey) -> Pairing {
    var draws = Draws(key: key.folded(0))
    let (a, b) = (gamma(&draws), gamma(&draws))
    // To a multiple of 2⁻²⁰: libraries differ in the last bits of logarithms, results then do not.
    let share = a + b > 0 ? (a / (a + b) * 0x1p20).rounded() * 0x1p-20 : 1
    return Pairing(
      share: Float(share), partners: Shuffle.permutation(count: count, key: key.folded(1)))
  }

  /// A draw of Gamma(α, 1) (Marsaglia and Tsang, "A simple method for generating gamma variables",
  /// 2000; below 1 through Gamma(α + 1)).
  private func gamma(_ draws: inout Draws) -> Double {
    let shape = Double(alpha) < 1 ? Double(alpha) + 1 : Double(alpha)
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    // A round ends with a probability above 0.95; the bound only makes the end certain.
    for _ in 0..<1000 {
      let block = SIMD4(draws.word(), draws.word(), draws.word(), draws.word())
      let x = Philox.normal(block)[0]
      let v = pow(1 + c * x, 3)
      let u = Double((block[2] >> 8) + 1) * 0x1p-24
      guard v > 0, log(u) < 0.5 * x * x + d - d * v + d * log(v) else { continue }
      let boost =
        alpha < 1 ? pow(Double((block[3] >> 8) + 1) * 0x1p-24, 1 / Double(alpha)) : 1
      return d * v * boost
    }
    return d
  }

  /// Mixes examples of `size` values in place.
  package static func mix(_ values: inout [Float], size: Int, _ pairing: Pairing) {
    let original = values
    for (example, partner) in pairing.partners.enumerated() where partner != example {
      let (begin, other) = (example * size, partner * size)
      for index in 0..<size {
        values[begin + index] =
          pairing.share * original[begin + index] + (1 - pairing.share) * original[other + index]
      }
    }
  }
}

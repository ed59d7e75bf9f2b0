import ApusDevice
import ApusTensor

/// In training, zeroes elements with `probability` and scales the others by `1 / (1 − probability)`
/// (Srivastava et al. 2014); its input in evaluation.
public struct Dropout: Layer {
  public let probability: Float

  /// - Throws: ``ApusError`` where the probability is outside `0...1`.
  public init(_ probability: Float = 0.5) throws {
    guard probability >= 0, probability <= 1 else {
      throw ApusError(
        .value, operation: "Dropout", "probability \(probability) is not within 0...1")
    }
    self.probability = probability
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    guard context.isTraining, probability > 0 else { return x }
    return try x.dropout(probability: probability, key: context.nextKey())
  }
}

/// In training, zeroes whole channels of `[N, C, H, W]` with `probability` and scales the others by
/// `1 / (1 − probability)` (Tompson et al. 2015); its input in evaluation.
public struct Dropout2d: Layer {
  public let probability: Float

  /// - Throws: ``ApusError`` where the probability is outside `0...1`.
  public init(_ probability: Float = 0.5) throws {
    guard probability >= 0, probability <= 1 else {
      throw ApusError(
        .value, operation: "Dropout2d", "probability \(probability) is not within 0...1")
    }
    self.probability = probability
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    guard context.isTraining, probability > 0 else { return x }
    return try x.dropout2d(probability: probability, key: context.nextKey())
  }
}

import ApusDevice
import ApusTensor

/// A penalty of `lambda · Σ |w|` in the loss, as what it adds to the gradients: `lambda · sign(w)`,
/// 0 at 0. It draws weights to exactly 0 (Tibshirani 1996).
public struct L1Penalty: Sendable, Hashable {
  public let lambda: Float

  /// - Throws: ``ApusError`` where `lambda` is negative or not finite.
  public init(_ lambda: Float) throws {
    try requireNonNegative(lambda, "lambda", "L1Penalty")
    self.lambda = lambda
  }

  /// The gradients with the penalty on weights: parameters of two or more axes. Biases and the
  /// factors of normalisations keep theirs, as do frozen parameters.
  /// - Parameter gradients: One per parameter, in their order.
  public func added(to gradients: [Tensor], of parameters: [Parameter]) throws -> [Tensor] {
    guard gradients.count == parameters.count else {
      throw ApusError(
        .value, operation: "L1Penalty",
        "\(gradients.count) gradients for \(parameters.count) parameters; give one for each")
    }
    guard lambda > 0 else { return gradients }
    return try zip(gradients, parameters).map { gradient, parameter in
      guard parameter.isWeight, parameter.isTrainable else { return gradient }
      return try gradient + parameter.value.sign() * Double(lambda)
    }
  }
}

extension Parameter {
  /// Whether it connects units, as against biases and the factors of normalisations.
  var isWeight: Bool { shape.count >= 2 }
}

import ApusDevice
import ApusTensor

/// Limits gradients before a step.
public enum GradientClipping: Sendable, Hashable {
  case none
  /// All gradients are scaled so that their common 2-norm is at most this, as
  /// `torch.nn.utils.clip_grad_norm_`.
  case norm(Float)
  /// Every element is limited to this magnitude, as `clip_grad_value_`.
  case value(Float)

  func validate() throws {
    switch self {
    case .none: return
    case .norm(let limit), .value(let limit):
      guard limit > 0 else {
        throw ApusError(
          .value, operation: "clipping", "the limit is \(limit); it must be positive")
      }
    }
  }

  /// Gradients to use, and a factor for all of them that stays on the device: nothing waits.
  func prepared(_ gradients: [Tensor]) throws -> (gradients: [Tensor], scale: Tensor?) {
    switch self {
    case .none: return (gradients, nil)
    case .value(let limit):
      return (try gradients.map { try $0.clamp(min: -limit, max: limit) }, nil)
    case .norm(let limit):
      let norm = try Tensor.sumOfSquares(gradients).sqrt()
      return (gradients, try (Double(limit) / (norm + 1e-6)).minimum(1))
    }
  }

  /// The gradients after clipping, and their 2-norm before it.
  public func apply(to gradients: [Tensor]) throws -> (gradients: [Tensor], norm: Tensor) {
    try validate()
    let norm = try Tensor.sumOfSquares(gradients).sqrt()
    let (limited, scale) = try prepared(gradients)
    guard let scale else { return (limited, norm) }
    return (try limited.map { try $0 * scale }, norm)
  }
}

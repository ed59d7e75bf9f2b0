import ApusDevice
import ApusTensor

/// Keeps the weights that lead into a unit within a ball (Srebro et al. 2005; with dropout:
/// Srivastava et al. 2014).
///
/// After a step every slice along the first axis of a weight, such as a row of `[out, in]` or a
/// filter of `[out, in, height, width]`, whose 2-norm exceeds `limit` is scaled to it:
/// `torch.renorm(w, 2, 0, limit)`.
public struct MaxNorm: Sendable, Hashable {
  public let limit: Float

  /// - Throws: ``ApusError`` where `limit` is not positive and finite.
  public init(_ limit: Float) throws {
    guard limit > 0, limit.isFinite else {
      throw ApusError(
        .value, operation: "MaxNorm", "the limit is \(limit); it must be positive and finite")
    }
    self.limit = limit
  }

  /// Scales what is too long among the trainable parameters of two or more axes. Never waits for the
  /// device.
  public func apply(to parameters: [Parameter]) throws {
    for parameter in parameters
    where parameter.isWeight && parameter.isTrainable && parameter.count > 0 {
      let value = parameter.value
      let axes = Array(1..<value.rank)
      let norm = try value.square().sum(axes: axes, keepDims: true).sqrt()
      // The summand is PyTorch's guard against rounding up; within the limit nothing changes.
      let factor = try Tensor.select(
        where: norm .> Double(limit), Double(limit) / (norm + 1e-7), .ones(like: norm))
      try parameter.assign(value * factor)
    }
  }
}

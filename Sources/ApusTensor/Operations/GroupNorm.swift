import ApusDevice

extension Tensor {
  /// The channels of each example in `groups`, each brought to mean 0 and variance 1, then scaled and
  /// shifted by channel (Wu, He 2018). One group per channel is instance normalisation.
  /// - Parameters:
  ///   - groups: A divisor of the channels.
  ///   - weight: `[C]`, as bias.
  /// - Returns: A tensor of the shape of this one, `[N, C, …]`.
  public func groupNorm(
    groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Float = 1e-5
  ) throws -> Tensor {
    guard rank >= 2, groups > 0, shape[1] > 0, shape[1] % groups == 0 else {
      throw ApusError(
        .shape, operation: "groupNorm",
        "the channels of shape \(shape), its axis 1, do not fall into \(groups) groups")
    }
    for parameter in [weight, bias].compactMap({ $0 }) where parameter.shape != [shape[1]] {
      throw ApusError(
        .shape, operation: "groupNorm",
        "weight and bias must have shape [\(shape[1])] for input \(shape), not \(parameter.shape)")
    }
    try ShapeRule.floats([self] + [weight, bias].compactMap { $0 }, "groupNorm")
    let width = shape[1] / groups * shape[2...].reduce(1, *)
    guard count > 0 else { return self }
    var y = try reshaped([shape[0] * groups, width]).layerNorm([width], epsilon: epsilon)
      .reshaped(shape)
    let perChannel = [shape[1]] + shape[2...].map { _ in 1 }
    if let weight { y = try y * weight.reshaped(perChannel) }
    if let bias { y = try y + bias.reshaped(perChannel) }
    return y
  }
}

import ApusDevice
import ApusTensor

/// Normalises over the last axes to mean 0 and variance 1, then scales by `weight` and shifts by
/// `bias` (Ba, Kiros, Hinton 2016). Names and defaults are those of `torch.nn.LayerNorm`.
public struct LayerNorm: Layer {
  public let weight: Parameter?
  public let bias: Parameter?
  public let normalizedShape: [Int]
  public let epsilon: Float

  public init(
    _ normalizedShape: [Int], epsilon: Float = 1e-5, elementwiseAffine: Bool = true,
    bias: Bool = true, on device: Device
  ) throws {
    guard !normalizedShape.isEmpty, normalizedShape.allSatisfy({ $0 > 0 }) else {
      throw ApusError(
        .shape, operation: "LayerNorm",
        "normalizedShape \(normalizedShape) must name at least one positive extent")
    }
    self.normalizedShape = normalizedShape
    self.epsilon = epsilon
    weight = elementwiseAffine ? Parameter(try .ones(normalizedShape, on: device)) : nil
    self.bias =
      elementwiseAffine && bias ? Parameter(try .zeros(normalizedShape, on: device)) : nil
  }

  /// A layer of given parameters.
  public init(
    _ normalizedShape: [Int], epsilon: Float = 1e-5, weight: Parameter?, bias: Parameter? = nil
  ) {
    self.normalizedShape = normalizedShape
    self.epsilon = epsilon
    self.weight = weight
    self.bias = bias
  }

  public init(
    _ features: Int, epsilon: Float = 1e-5, elementwiseAffine: Bool = true, bias: Bool = true,
    on device: Device
  ) throws {
    try self.init(
      [features], epsilon: epsilon, elementwiseAffine: elementwiseAffine, bias: bias, on: device)
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.layerNorm(
      normalizedShape, weight: try weight.map { try context[$0] },
      bias: try bias.map { try context[$0] }, epsilon: epsilon)
  }
}

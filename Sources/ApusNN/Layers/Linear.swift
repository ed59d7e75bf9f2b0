import ApusDevice
import ApusTensor

/// `y = x · weightᵀ + bias` over the last axis.
///
/// `weight` is `[outFeatures, inFeatures]`, `bias` `[outFeatures]`; names, layout and default
/// initialisation are those of `torch.nn.Linear`: both uniform within `±1/√inFeatures`.
public struct Linear: EpilogueLayer {
  public let weight: Parameter
  public let bias: Parameter?

  /// - Parameters:
  ///   - key: Gives the first values.
  ///   - initializer: For the weight; PyTorch's default for nil.
  /// - Throws: ``ApusError`` where a size is not positive.
  public init(
    _ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, initializer: Initializer? = nil,
    key: RandomKey, on device: Device
  ) throws {
    guard inFeatures > 0, outFeatures > 0 else {
      throw ApusError(
        .value, operation: "Linear",
        "inFeatures \(inFeatures) and outFeatures \(outFeatures) must be positive")
    }
    let keys = key.split(2)
    let bound = 1 / Float(inFeatures).squareRoot()
    let spread = Initializer.uniform(low: -bound, high: bound)
    weight = Parameter(
      try (initializer ?? spread).tensor([outFeatures, inFeatures], key: keys[0], on: device))
    self.bias =
      bias ? Parameter(try spread.tensor([outFeatures], key: keys[1], on: device)) : nil
  }

  /// A layer of given parameters.
  public init(weight: Parameter, bias: Parameter? = nil) {
    self.weight = weight
    self.bias = bias
  }

  public var inFeatures: Int { weight.shape[1] }
  public var outFeatures: Int { weight.shape[0] }

  /// The layer and an activation in one operation.
  public func callAsFunction(
    _ x: Tensor, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    try x.linear(
      try context[weight], bias: try bias.map { try context[$0] }, activation: activation)
  }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    guard let addend else { return try self(x, activation: activation, context) }
    return try self(x, activation: nil, context).finished(addend: addend, activation: activation)
  }
}

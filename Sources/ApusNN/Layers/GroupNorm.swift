import ApusDevice
import ApusTensor

/// Normalises each example over groups of neighbouring channels, then scales and shifts per channel
/// (Wu and He 2018): `[N, C, …]` to the same. Names and defaults are those of `torch.nn.GroupNorm`.
public struct GroupNorm: Layer {
  /// `[channels]`, nil without `affine`.
  public let weight: Parameter?
  public let bias: Parameter?
  public let groups: Int
  public let channels: Int
  public let epsilon: Float

  /// - Throws: ``ApusError`` where `groups` does not divide `channels`.
  public init(
    _ groups: Int, _ channels: Int, epsilon: Float = 1e-5, affine: Bool = true, on device: Device
  ) throws {
    try Self.validate(groups, channels)
    try self.init(
      groups, channels, epsilon: epsilon,
      weight: affine ? Parameter(try .ones([channels], on: device)) : nil,
      bias: affine ? Parameter(try .zeros([channels], on: device)) : nil)
  }

  /// A layer of given parameters.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    _ groups: Int, _ channels: Int, epsilon: Float = 1e-5, weight: Parameter?, bias: Parameter?
  ) throws {
    try Self.validate(groups, channels)
    for parameter in [weight, bias].compactMap({ $0 }) where parameter.shape != [channels] {
      throw ApusError(
        .shape, operation: "GroupNorm",
        "a parameter has shape \(parameter.shape), expected [\(channels)]")
    }
    self.groups = groups
    self.channels = channels
    self.epsilon = epsilon
    self.weight = weight
    self.bias = bias
  }

  private static func validate(_ groups: Int, _ channels: Int) throws {
    guard (1...WindowRule.largest).contains(channels), groups > 0, channels % groups == 0 else {
      throw ApusError(
        .value, operation: "GroupNorm",
        "groups \(groups) must be positive and divide the \(channels) channels")
    }
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.groupNorm(
      groups: groups, weight: try weight.map { try context[$0] },
      bias: try bias.map { try context[$0] }, epsilon: epsilon)
  }
}

extension GroupNorm: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard let first = input.first, first == channels else {
      throw ApusError.channels("GroupNorm", channels, input)
    }
    return input
  }
}

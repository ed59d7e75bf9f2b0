import ApusDevice
import ApusTensor

/// Where the layers of a description get their parameters.
enum ParameterSource {
  /// Drawn anew.
  case fresh(RandomKey, Device)
  /// Given by name: nothing is made that a file does not hold.
  case given([String: Tensor])

  /// The source for the layer at a place of the graph.
  func forLayer(_ index: Int) -> ParameterSource {
    guard case .fresh(let key, let device) = self else { return self }
    return .fresh(key.folded(UInt64(index)), device)
  }

  func linear(
    _ name: String, _ inFeatures: Int, _ outFeatures: Int, bias: Bool, initializer: Initializer?
  ) throws -> Linear {
    switch self {
    case .fresh(let key, let device):
      return try Linear(
        inFeatures, outFeatures, bias: bias, initializer: initializer, key: key, on: device)
    case .given:
      return Linear(
        weight: try given("\(name).weight", [outFeatures, inFeatures]),
        bias: bias ? try given("\(name).bias", [outFeatures]) : nil)
    }
  }

  func layerNorm(
    _ name: String, _ shape: [Int], epsilon: Float, elementwiseAffine: Bool, bias: Bool
  ) throws -> LayerNorm {
    switch self {
    case .fresh(_, let device):
      return try LayerNorm(
        shape, epsilon: epsilon, elementwiseAffine: elementwiseAffine, bias: bias, on: device)
    case .given:
      return LayerNorm(
        shape, epsilon: epsilon,
        weight: elementwiseAffine ? try given("\(name).weight", shape) : nil,
        bias: elementwiseAffine && bias ? try given("\(name).bias", shape) : nil)
    }
  }

  /// Weight and bias of a convolution whose numbers `rule` has found right.
  func convolution(
    _ name: String, _ rule: ConvolutionRule, weight shape: [Int], bias: Bool,
    initializer: Initializer?
  ) throws -> (weight: Parameter, bias: Parameter?) {
    switch self {
    case .fresh(let key, let device):
      return try rule.parameters(
        weight: shape, bias: bias, initializer: initializer, key: key, on: device)
    case .given:
      return (
        try given("\(name).weight", shape),
        bias ? try given("\(name).bias", [rule.outChannels]) : nil
      )
    }
  }

  func batchNorm(
    _ name: String, _ channels: Int, epsilon: Float, momentum: Float, affine: Bool,
    trackRunningStats: Bool
  ) throws -> BatchNorm {
    switch self {
    case .fresh(_, let device):
      return try BatchNorm(
        channels, epsilon: epsilon, momentum: momentum, affine: affine,
        trackRunningStats: trackRunningStats, on: device)
    case .given:
      func parameter(_ part: String, _ isThere: Bool) throws -> Parameter? {
        isThere ? try given("\(name).\(part)", [channels]) : nil
      }
      return try BatchNorm(
        channels, epsilon: epsilon, momentum: momentum, weight: try parameter("weight", affine),
        bias: try parameter("bias", affine),
        runningMean: try parameter("running_mean", trackRunningStats),
        runningVariance: try parameter("running_var", trackRunningStats))
    }
  }

  func groupNorm(
    _ name: String, _ groups: Int, _ channels: Int, epsilon: Float, affine: Bool
  ) throws -> GroupNorm {
    switch self {
    case .fresh(_, let device):
      return try GroupNorm(groups, channels, epsilon: epsilon, affine: affine, on: device)
    case .given:
      return try GroupNorm(
        groups, channels, epsilon: epsilon,
        weight: affine ? try given("\(name).weight", [channels]) : nil,
        bias: affine ? try given("\(name).bias", [channels]) : nil)
    }
  }

  func given(_ name: String, _ shape: [Int]) throws -> Parameter {
    guard case .given(let tensors) = self, let tensor = tensors[name] else {
      throw ApusError(.data, operation: "load", "the tensor '\(name)' is missing")
    }
    guard tensor.shape == shape, tensor.dtype == .float32 else {
      throw ApusError(
        .data, operation: "load",
        "'\(name)' is \(tensor.dtype)\(tensor.shape), the model needs float32\(shape)")
    }
    return Parameter(tensor)
  }
}

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
    case .given(let tensors):
      return Linear(
        weight: try parameter("\(name).weight", [outFeatures, inFeatures], tensors),
        bias: bias ? try parameter("\(name).bias", [outFeatures], tensors) : nil)
    }
  }

  func layerNorm(
    _ name: String, _ shape: [Int], epsilon: Float, elementwiseAffine: Bool, bias: Bool
  ) throws -> LayerNorm {
    switch self {
    case .fresh(_, let device):
      return try LayerNorm(
        shape, epsilon: epsilon, elementwiseAffine: elementwiseAffine, bias: bias, on: device)
    case .given(let tensors):
      return LayerNorm(
        shape, epsilon: epsilon,
        weight: elementwiseAffine ? try parameter("\(name).weight", shape, tensors) : nil,
        bias: elementwiseAffine && bias ? try parameter("\(name).bias", shape, tensors) : nil)
    }
  }

  private func parameter(
    _ name: String, _ shape: [Int], _ tensors: [String: Tensor]
  ) throws -> Parameter {
    guard let tensor = tensors[name] else {
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

import ApusDevice
import ApusOptimizers
import ApusTensor

/// An optimizer by name.
public enum OptimizerKind: String, Sendable, Hashable, Codable, CaseIterable {
  case sgd, adam, adamw, rmsprop, adagrad

  /// The optimizer with PyTorch's defaults for what is not given.
  public func make(
    _ parameters: [Parameter], learningRate: Float, momentum: Float = 0, weightDecay: Float? = nil,
    clipping: GradientClipping = .none
  ) throws -> any Optimizer {
    guard momentum == 0 || self == .sgd || self == .rmsprop else {
      throw ApusError(
        .value, operation: rawValue, "takes no momentum; sgd and rmsprop do")
    }
    switch self {
    case .sgd:
      return try SGD(
        parameters, learningRate: learningRate, momentum: momentum, weightDecay: weightDecay ?? 0,
        clipping: clipping)
    case .adam:
      return try Adam(
        parameters, learningRate: learningRate, weightDecay: weightDecay ?? 0, clipping: clipping)
    case .adamw:
      return try AdamW(
        parameters, learningRate: learningRate, weightDecay: weightDecay ?? 1e-2,
        clipping: clipping)
    case .rmsprop:
      return try RMSprop(
        parameters, learningRate: learningRate, weightDecay: weightDecay ?? 0, momentum: momentum,
        clipping: clipping)
    case .adagrad:
      return try Adagrad(
        parameters, learningRate: learningRate, weightDecay: weightDecay ?? 0, clipping: clipping)
    }
  }
}

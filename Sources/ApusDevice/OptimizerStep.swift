/// The rule of one optimizer step; formulas and defaults are those of `torch.optim`.
///
/// Inputs, per parameter in turn: `gradient, parameter, state…`; then, if `hasGradientScale`, one
/// `float32` scalar by which every gradient is multiplied first (clipping by norm without waiting for
/// the host). Outputs, per parameter in turn: `parameter, state…`. An output may be the very operand
/// of its input (update in place), nothing else may overlap. All operands of one parameter are
/// `float32` and contiguous, of one count.
public struct OptimizerStep: Sendable, Hashable {
  public enum Rule: Sendable, Hashable {
    /// State: `velocity` unless `momentum` is 0. `isFirst`: the velocity becomes the gradient.
    case sgd(momentum: Float, dampening: Float, nesterov: Bool, isFirst: Bool)
    /// State: `m, v`. `m̂ = m / correction1`, `v̂ = v / correction2`, with
    /// `correction = 1 − betaᵗ` computed by the host;
    /// `p −= lr · m̂ / (√v̂ + epsilon)`. `decoupled` is AdamW: `p *= 1 − lr · weightDecay` first.
    case adam(
      beta1: Float, beta2: Float, epsilon: Float, correction1: Float, correction2: Float,
      decoupled: Bool)
    /// State: `squareAverage`, then `gradientAverage` if centered, then `velocity` unless `momentum`
    /// is 0.
    case rmsprop(alpha: Float, epsilon: Float, momentum: Float, centered: Bool)
    /// State: `sum`. `learningRate` already carries the decay.
    case adagrad(epsilon: Float)
  }

  public let rule: Rule
  public let learningRate: Float
  /// L2 term added to the gradient (decoupled for AdamW).
  public let weightDecay: Float
  public let hasGradientScale: Bool

  public init(rule: Rule, learningRate: Float, weightDecay: Float, hasGradientScale: Bool) {
    self.rule = rule
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.hasGradientScale = hasGradientScale
  }

  /// The number of state tensors of one parameter.
  public var stateCount: Int {
    switch rule {
    case .sgd(let momentum, _, _, _): momentum == 0 ? 0 : 1
    case .adam: 2
    case .rmsprop(_, _, let momentum, let centered):
      1 + (centered ? 1 : 0) + (momentum == 0 ? 0 : 1)
    case .adagrad: 1
    }
  }
}

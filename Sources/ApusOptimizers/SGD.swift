import ApusDevice
import ApusTensor

/// Stochastic gradient descent with momentum, dampening and Nesterov's variant.
///
/// With `g` the gradient plus `weightDecay · p`: `v = momentum · v + (1 − dampening) · g` (the first
/// `v` is `g`), `p −= learningRate · (nesterov ? g + momentum · v : v)`.
public final class SGD: Optimizer {
  private let momentum: Float
  private let dampening: Float
  private let nesterov: Bool
  private let engine: StepEngine

  /// - Throws: ``ApusError`` where a value is out of its range.
  public init(
    _ parameters: [Parameter], learningRate: Float = 1e-3, momentum: Float = 0,
    dampening: Float = 0, weightDecay: Float = 0, nesterov: Bool = false,
    clipping: GradientClipping = .none
  ) throws {
    try requireNonNegative(momentum, "momentum", "SGD")
    guard !nesterov || (momentum > 0 && dampening == 0) else {
      throw ApusError(
        .value, operation: "SGD", "nesterov needs a positive momentum and no dampening")
    }
    self.momentum = momentum
    self.dampening = dampening
    self.nesterov = nesterov
    engine = try StepEngine(
      parameters, name: "SGD", learningRate: learningRate, weightDecay: weightDecay,
      clipping: clipping, slotNames: momentum == 0 ? [] : ["velocity"])
  }

  public var parameters: [Parameter] { engine.parameters }
  public var learningRate: Float {
    get { engine.learningRate }
    set { engine.learningRate = newValue }
  }
  public var stepCount: Int { engine.stepCount }

  public func step(_ gradients: [Tensor]) throws {
    try engine.step(gradients) { step, rate in
      (
        .sgd(
          momentum: momentum, dampening: dampening, nesterov: nesterov, isFirst: step == 1), rate
      )
    }
  }

  public func state() -> OptimizerState { engine.saved() }
  public func load(_ state: OptimizerState) throws { try engine.load(state) }
}

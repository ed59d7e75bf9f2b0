import ApusDevice
import ApusTensor

/// RMSprop (Tieleman and Hinton 2012), optionally centered (Graves 2013) and with momentum.
public final class RMSprop: Optimizer {
  private let alpha: Float
  private let epsilon: Float
  private let momentum: Float
  private let centered: Bool
  private let engine: StepEngine

  /// - Throws: ``ApusError`` where a value is out of its range.
  public init(
    _ parameters: [Parameter], learningRate: Float = 1e-2, alpha: Float = 0.99,
    epsilon: Float = 1e-8, weightDecay: Float = 0, momentum: Float = 0, centered: Bool = false,
    clipping: GradientClipping = .none
  ) throws {
    try requireFraction(alpha, "alpha", "RMSprop")
    try requireNonNegative(epsilon, "epsilon", "RMSprop")
    try requireNonNegative(momentum, "momentum", "RMSprop")
    self.alpha = alpha
    self.epsilon = epsilon
    self.momentum = momentum
    self.centered = centered
    engine = try StepEngine(
      parameters, name: "RMSprop", learningRate: learningRate, weightDecay: weightDecay,
      clipping: clipping,
      slotNames: ["squareAverage"] + (centered ? ["gradientAverage"] : [])
        + (momentum == 0 ? [] : ["velocity"]))
  }

  public var parameters: [Parameter] { engine.parameters }
  public var learningRate: Float {
    get { engine.learningRate }
    set { engine.learningRate = newValue }
  }
  public var stepCount: Int { engine.stepCount }

  public func step(_ gradients: [Tensor]) throws {
    try engine.step(gradients) { _, rate in
      (.rmsprop(alpha: alpha, epsilon: epsilon, momentum: momentum, centered: centered), rate)
    }
  }

  public func state() -> OptimizerState { engine.saved() }
  public func load(_ state: OptimizerState) throws { try engine.load(state) }
}

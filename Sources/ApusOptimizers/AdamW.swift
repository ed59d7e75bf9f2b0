import ApusDevice
import ApusTensor

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019): `p *= 1 − learningRate ·
/// weightDecay` before the step of Adam.
public final class AdamW: Optimizer {
  private let betas: (Float, Float)
  private let epsilon: Float
  private let engine: StepEngine

  /// - Throws: ``ApusError`` where a value is out of its range.
  public init(
    _ parameters: [Parameter], learningRate: Float = 1e-3, betas: (Float, Float) = (0.9, 0.999),
    epsilon: Float = 1e-8, weightDecay: Float = 1e-2, clipping: GradientClipping = .none
  ) throws {
    try requireFraction(betas.0, "betas.0", "AdamW")
    try requireFraction(betas.1, "betas.1", "AdamW")
    try requireNonNegative(epsilon, "epsilon", "AdamW")
    self.betas = betas
    self.epsilon = epsilon
    engine = try StepEngine(
      parameters, name: "AdamW", learningRate: learningRate, weightDecay: weightDecay,
      clipping: clipping, slotNames: ["m", "v"])
  }

  public var parameters: [Parameter] { engine.parameters }
  public var learningRate: Float {
    get { engine.learningRate }
    set { engine.learningRate = newValue }
  }
  public var stepCount: Int { engine.stepCount }

  public func step(_ gradients: [Tensor]) throws {
    try engine.step(gradients) { step, rate in
      (.adam(betas, epsilon, step: step, decoupled: true), rate)
    }
  }

  public func state() -> OptimizerState { engine.saved() }
  public func load(_ state: OptimizerState) throws { try engine.load(state) }
}

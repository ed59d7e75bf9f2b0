import ApusDevice
import ApusTensor

/// Adagrad (Duchi, Hazan, Singer 2011).
public final class Adagrad: Optimizer {
  private let learningRateDecay: Float
  private let epsilon: Float
  private let engine: StepEngine

  /// - Parameters:
  ///   - learningRateDecay: The rate of step t is `learningRate / (1 + (t − 1) · learningRateDecay)`.
  ///   - initialAccumulator: Where the sum of squares starts.
  /// - Throws: ``ApusError`` where a value is out of its range.
  public init(
    _ parameters: [Parameter], learningRate: Float = 1e-2, learningRateDecay: Float = 0,
    weightDecay: Float = 0, initialAccumulator: Float = 0, epsilon: Float = 1e-10,
    clipping: GradientClipping = .none
  ) throws {
    try requireNonNegative(learningRateDecay, "learningRateDecay", "Adagrad")
    try requireNonNegative(initialAccumulator, "initialAccumulator", "Adagrad")
    try requireNonNegative(epsilon, "epsilon", "Adagrad")
    self.learningRateDecay = learningRateDecay
    self.epsilon = epsilon
    engine = try StepEngine(
      parameters, name: "Adagrad", learningRate: learningRate, weightDecay: weightDecay,
      clipping: clipping, slotNames: ["sum"], initialValue: Double(initialAccumulator))
  }

  public var parameters: [Parameter] { engine.parameters }
  public var learningRate: Float {
    get { engine.learningRate }
    set { engine.learningRate = newValue }
  }
  public var stepCount: Int { engine.stepCount }

  public func step(_ gradients: [Tensor]) throws {
    try engine.step(gradients) { step, rate in
      (.adagrad(epsilon: epsilon), rate / (1 + Float(step - 1) * learningRateDecay))
    }
  }

  public func state() -> OptimizerState { engine.saved() }
  public func load(_ state: OptimizerState) throws { try engine.load(state) }
}

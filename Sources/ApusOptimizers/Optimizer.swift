import ApusDevice
import ApusTensor

/// Changes parameters along their gradients.
///
/// Formulas, names and defaults are those of `torch.optim`. One step over all parameters is one
/// operation of the device; it happens in place where nobody else holds a parameter's value, and
/// never waits for the device.
public protocol Optimizer: AnyObject, Sendable {
  /// What is optimised, in the order in which ``step(_:)`` expects gradients.
  var parameters: [Parameter] { get }
  /// The current step size; a schedule sets it between steps.
  var learningRate: Float { get set }
  /// The number of steps taken.
  var stepCount: Int { get }

  /// Takes one step.
  /// - Parameter gradients: One per parameter, of its shape. Frozen parameters are left alone.
  /// - Throws: ``ApusError`` where the number or a shape does not fit; then nothing has changed.
  func step(_ gradients: [Tensor]) throws

  /// What must be saved to go on later: `step`, and state tensors by name.
  func state() -> OptimizerState
  /// Takes up what ``state()`` gave.
  /// - Throws: ``ApusError`` where it does not belong to these parameters.
  func load(_ state: OptimizerState) throws
}

/// The memory of an optimizer between steps.
public struct OptimizerState: Sendable {
  public var stepCount: Int
  public var learningRate: Float
  /// `"index.name"`, as in `0.m`, to tensors.
  public var tensors: [String: Tensor]

  public init(stepCount: Int, learningRate: Float, tensors: [String: Tensor]) {
    self.stepCount = stepCount
    self.learningRate = learningRate
    self.tensors = tensors
  }
}

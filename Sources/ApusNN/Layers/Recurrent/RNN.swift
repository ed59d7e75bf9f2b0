import ApusDevice
import ApusTensor

/// A plain recurrent network over whole sequences (Elman 1990).
///
/// Parameters are `weight_ih_l0` `[hiddenSize, inputSize]`, `weight_hh_l0`, `bias_ih_l0`,
/// `bias_hh_l0`, for further layers `…_l1`, for the backward direction `…_l0_reverse`; names, defaults
/// and formulas (see ``Recurrence``) are those of `torch.nn.RNN`.
public struct RNN: Layer {
  public enum Nonlinearity: String, Sendable, Hashable {
    case tanh, relu
    var cell: Recurrence.Cell { self == .tanh ? .tanh : .relu }
  }

  public let stack: RecurrentStack

  /// - Parameters:
  ///   - nonlinearity: `tanh` or ReLU.
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a size is not positive or a probability outside `0...1`.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, nonlinearity: Nonlinearity = .tanh,
    _ options: RecurrentOptions = RecurrentOptions(),
    initialization: RecurrentInitialization = RecurrentInitialization(), key: RandomKey,
    on device: Device
  ) throws {
    stack = try RecurrentStack(
      nonlinearity.cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options,
      initialization: initialization, key: key, on: device)
  }

  public func namedParameters() -> [NamedParameter] { stack.namedParameters() }

  /// The outputs of all steps; see ``RecurrentStack``.
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try stack(x, context).output
  }

  /// Outputs and final states, from a state or (nil) from zeros; see ``RecurrentStack`` for the shapes.
  public func callAsFunction(
    _ x: Tensor, state: RecurrentState?, lengths: [Int]? = nil, _ context: Context
  ) throws -> (output: Tensor, state: RecurrentState) {
    try stack(x, state: state, lengths: lengths, context)
  }
}

import ApusDevice
import ApusTensor

/// Gated recurrent units over whole sequences (Cho et al. 2014).
///
/// Parameters are `weight_ih_l0` `[3 · hiddenSize, inputSize]`, `weight_hh_l0`, `bias_ih_l0`,
/// `bias_hh_l0`, for further layers `…_l1`, for the backward direction `…_l0_reverse`; names, defaults
/// and formulas (see ``Recurrence``) are those of `torch.nn.GRU`.
public struct GRU: Layer {
  public let stack: RecurrentStack

  /// - Parameters:
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a size is not positive or a probability outside `0...1`.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, _ options: RecurrentOptions = RecurrentOptions(),
    initialization: RecurrentInitialization = RecurrentInitialization(), key: RandomKey,
    on device: Device
  ) throws {
    stack = try RecurrentStack(
      .gru, inputSize: inputSize, hiddenSize: hiddenSize, options: options,
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

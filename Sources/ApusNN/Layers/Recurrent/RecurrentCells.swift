import ApusDevice
import ApusTensor

/// One step of a recurrent layer: the base of ``RNNCell``, ``LSTMCell`` and ``GRUCell``. Parameters are
/// `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
public struct RecurrentCell: Module {
  public let cell: Recurrence.Cell
  public let inputSize: Int
  public let hiddenSize: Int
  let weights: RecurrentWeights

  init(
    _ cell: Recurrence.Cell, _ inputSize: Int, _ hiddenSize: Int, bias: Bool,
    _ initialization: RecurrentInitialization, key: RandomKey, on device: Device
  ) throws {
    guard inputSize > 0, hiddenSize > 0 else {
      throw ApusError(
        .value, operation: cell.layerName + "Cell",
        "inputSize \(inputSize) and hiddenSize \(hiddenSize) must be positive")
    }
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    weights = try RecurrentWeights(
      cell, inputSize: inputSize, hiddenSize: hiddenSize, bias: bias, initialization, key: key,
      on: device)
  }

  public func namedParameters() -> [NamedParameter] { weights.named("") }

  /// The states `[B, H]` after a step with input `[B, inputSize]`.
  func step(_ x: Tensor, _ state: RecurrentState?, _ context: Context) throws -> RecurrentState {
    guard x.rank == 2, x.shape[1] == inputSize, x.dtype == .float32 else {
      throw ApusError(
        .shape, operation: cell.layerName + "Cell",
        "takes float32 [B, \(inputSize)], not \(x.dtype)\(x.shape)")
    }
    let rows = x.shape[0]
    let zeros = state == nil ? try Tensor.zeros([rows, hiddenSize], on: x.device) : nil
    let hidden = state?.hidden ?? zeros
    let cellState = cell == .lstm ? state?.cell ?? zeros : nil
    guard let hidden else { throw missing }
    let result = try weights.run(
      cell, x.unsqueezed(axis: 0), hidden: hidden, cellState: cellState, lengths: nil,
      isReversed: false, context)
    return RecurrentState(hidden: result.hidden, cell: result.cell)
  }

  private var missing: ApusError {
    ApusError(.value, operation: cell.layerName + "Cell", "there is no state to begin with")
  }
}

/// One step of an ``RNN``.
public struct RNNCell: Module {
  public let cell: RecurrentCell

  public init(
    _ inputSize: Int, _ hiddenSize: Int, bias: Bool = true,
    nonlinearity: RNN.Nonlinearity = .tanh,
    initialization: RecurrentInitialization = RecurrentInitialization(), key: RandomKey,
    on device: Device
  ) throws {
    cell = try RecurrentCell(
      nonlinearity.cell, inputSize, hiddenSize, bias: bias, initialization, key: key, on: device)
  }

  public func namedParameters() -> [NamedParameter] { cell.namedParameters() }

  /// - Parameters:
  ///   - x: `[B, inputSize]`.
  ///   - hidden: `[B, hiddenSize]`; zeros for nil.
  /// - Returns: The next state.
  public func callAsFunction(
    _ x: Tensor, hidden: Tensor? = nil, _ context: Context
  ) throws -> Tensor {
    try cell.step(x, hidden.map { RecurrentState(hidden: $0) }, context).hidden
  }
}

/// One step of a ``GRU``.
public struct GRUCell: Module {
  public let cell: RecurrentCell

  public init(
    _ inputSize: Int, _ hiddenSize: Int, bias: Bool = true,
    initialization: RecurrentInitialization = RecurrentInitialization(), key: RandomKey,
    on device: Device
  ) throws {
    cell = try RecurrentCell(
      .gru, inputSize, hiddenSize, bias: bias, initialization, key: key, on: device)
  }

  public func namedParameters() -> [NamedParameter] { cell.namedParameters() }

  /// - Parameters:
  ///   - x: `[B, inputSize]`.
  ///   - hidden: `[B, hiddenSize]`; zeros for nil.
  /// - Returns: The next state.
  public func callAsFunction(
    _ x: Tensor, hidden: Tensor? = nil, _ context: Context
  ) throws -> Tensor {
    try cell.step(x, hidden.map { RecurrentState(hidden: $0) }, context).hidden
  }
}

/// One step of an ``LSTM``.
public struct LSTMCell: Module {
  public let cell: RecurrentCell

  public init(
    _ inputSize: Int, _ hiddenSize: Int, bias: Bool = true,
    initialization: RecurrentInitialization = RecurrentInitialization(), key: RandomKey,
    on device: Device
  ) throws {
    cell = try RecurrentCell(
      .lstm, inputSize, hiddenSize, bias: bias, initialization, key: key, on: device)
  }

  public func namedParameters() -> [NamedParameter] { cell.namedParameters() }

  /// - Parameters:
  ///   - x: `[B, inputSize]`.
  ///   - state: Hidden and cell state, each `[B, hiddenSize]`; zeros for nil.
  /// - Returns: The next states.
  public func callAsFunction(
    _ x: Tensor, state: RecurrentState? = nil, _ context: Context
  ) throws -> RecurrentState {
    try cell.step(x, state, context)
  }
}

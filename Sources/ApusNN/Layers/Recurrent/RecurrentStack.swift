import ApusDevice
import ApusTensor

/// The states of all layers and directions, `[layers · directions, B, H]`: forward and backward of the
/// first layer, then of the second.
public struct RecurrentState: Sendable {
  public var hidden: Tensor
  /// Of an LSTM.
  public var cell: Tensor?

  public init(hidden: Tensor, cell: Tensor? = nil) {
    self.hidden = hidden
    self.cell = cell
  }

  /// The same values without a gradient: where a long text is cut into pieces that follow each other,
  /// a piece begins with the detached state of the piece before.
  public var detached: RecurrentState {
    RecurrentState(hidden: hidden.detached, cell: cell?.detached)
  }
}

/// How recurrent layers are put together; names and defaults are PyTorch's.
public struct RecurrentOptions: Sendable, Hashable {
  public var numLayers = 1
  public var bias = true
  /// Whether inputs and outputs are `[B, T, …]` rather than `[T, B, …]`. States never change.
  public var batchFirst = false
  /// In training, the probability with which outputs of all layers but the last are zeroed.
  public var dropout: Float = 0
  /// Whether a second cell passes each row from its end to its start; outputs lie side by side.
  public var bidirectional = false

  public init(
    numLayers: Int = 1, bias: Bool = true, batchFirst: Bool = false, dropout: Float = 0,
    bidirectional: Bool = false
  ) {
    self.numLayers = numLayers
    self.bias = bias
    self.batchFirst = batchFirst
    self.dropout = dropout
    self.bidirectional = bidirectional
  }

  public var directions: Int { bidirectional ? 2 : 1 }
}

/// Recurrent layers on top of each other, in one or both directions: what ``RNN``, ``LSTM`` and ``GRU``
/// are made of.
public struct RecurrentStack: Module {
  public let cell: Recurrence.Cell
  public let inputSize: Int
  public let hiddenSize: Int
  public let options: RecurrentOptions
  /// Layer by layer, forward then backward.
  let weights: [RecurrentWeights]

  init(
    _ cell: Recurrence.Cell, inputSize: Int, hiddenSize: Int, options: RecurrentOptions,
    make: (_ layer: Int, _ direction: Int, _ inputSize: Int) throws -> RecurrentWeights
  ) throws {
    let name = cell.layerName
    guard inputSize > 0, hiddenSize > 0, options.numLayers > 0, hiddenSize <= 1 << 20,
      inputSize <= 1 << 24, options.numLayers <= 1 << 10
    else {
      throw ApusError(
        .value, operation: name,
        "inputSize \(inputSize), hiddenSize \(hiddenSize) and numLayers \(options.numLayers) must "
          + "be positive and sensible")
    }
    let later = (options.numLayers - 1) * (options.directions + 1) * hiddenSize
    let columns = options.directions * (inputSize + hiddenSize + later)
    guard cell.gateCount * hiddenSize * columns <= 1 << 31 else {
      throw ApusError(
        .value, operation: name,
        "inputSize \(inputSize), hiddenSize \(hiddenSize) and numLayers \(options.numLayers) make "
          + "more than 2³¹ parameters")
    }
    guard options.dropout >= 0, options.dropout <= 1 else {
      throw ApusError(
        .value, operation: name, "dropout \(options.dropout) is not within 0...1")
    }
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.options = options
    weights = try (0..<options.numLayers).flatMap { layer in
      try (0..<options.directions).map { direction in
        try make(layer, direction, layer == 0 ? inputSize : hiddenSize * options.directions)
      }
    }
  }

  init(
    _ cell: Recurrence.Cell, inputSize: Int, hiddenSize: Int, options: RecurrentOptions,
    initialization: RecurrentInitialization, key: RandomKey, on device: Device
  ) throws {
    try self.init(cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options) {
      try RecurrentWeights(
        cell, inputSize: $2, hiddenSize: hiddenSize, bias: options.bias, initialization,
        key: key.folded(UInt64($0 * options.directions + $1)), on: device)
    }
  }

  public func namedParameters() -> [NamedParameter] {
    weights.enumerated().flatMap { index, weights in weights.named(suffix(index)) }
  }

  private func suffix(_ index: Int) -> String {
    Self.suffix(layer: index / options.directions, direction: index % options.directions)
  }

  static func suffix(layer: Int, direction: Int) -> String {
    "_l\(layer)" + (direction == 1 ? "_reverse" : "")
  }

  /// - Parameters:
  ///   - x: `[T, B, inputSize]`, or `[B, T, inputSize]` with `batchFirst`.
  ///   - state: Before the first step; zeros for nil.
  ///   - lengths: How many steps of each row count, `1...T`; all for nil. What follows in a row has no
  ///     influence, and the output there is 0.
  /// - Returns: `[T, B, directions · hiddenSize]` of the last layer (or `[B, T, …]`), and the states
  ///   after the last step of each row.
  public func callAsFunction(
    _ x: Tensor, state: RecurrentState? = nil, lengths: [Int]? = nil, _ context: Context
  ) throws -> (output: Tensor, state: RecurrentState) {
    guard x.rank == 3, x.shape[2] == inputSize, x.dtype == .float32 else {
      throw error(
        .shape,
        "takes float32 \(options.batchFirst ? "[B, T, \(inputSize)]" : "[T, B, \(inputSize)]"), not "
          + "\(x.dtype)\(x.shape)")
    }
    var sequence = options.batchFirst ? try x.transposed(0, 1) : x
    let (steps, rows) = (sequence.shape[0], sequence.shape[1])
    let valid = try lengths.map { try checked($0, steps, rows, on: x.device) }
    let initial = try self.initial(state, rows, on: x.device)
    var (hidden, cells): ([Tensor], [Tensor]) = ([], [])
    for layer in 0..<options.numLayers {
      if layer > 0, context.isTraining, options.dropout > 0 {
        sequence = try sequence.dropout(probability: options.dropout, key: context.nextKey())
      }
      let results = try (0..<options.directions).map { direction in
        let index = layer * options.directions + direction
        return try weights[index].run(
          cell, sequence, hidden: initial.hidden[index],
          cellState: try initial.cell.map { try $0[index] }, lengths: valid,
          isReversed: direction == 1, context)
      }
      sequence =
        results.count == 1
        ? results[0].output : try .concatenated(results.map(\.output), axis: 2)
      hidden += results.map(\.hidden)
      cells += results.compactMap(\.cell)
    }
    let final = RecurrentState(
      hidden: try stacked(hidden), cell: cells.isEmpty ? nil : try stacked(cells))
    return (options.batchFirst ? try sequence.transposed(0, 1) : sequence, final)
  }

  private func stacked(_ states: [Tensor]) throws -> Tensor {
    states.count == 1 ? try states[0].unsqueezed(axis: 0) : try .stacked(states)
  }

  private func initial(_ state: RecurrentState?, _ rows: Int, on device: Device) throws
    -> RecurrentState
  {
    let shape = [options.numLayers * options.directions, rows, hiddenSize]
    guard let state else {
      let zeros = try Tensor.zeros(shape, on: device)
      return RecurrentState(hidden: zeros, cell: cell == .lstm ? zeros : nil)
    }
    guard state.hidden.shape == shape, state.cell.map({ $0.shape == shape }) ?? true,
      (state.cell != nil) == (cell == .lstm)
    else {
      throw error(
        .shape,
        "the state has shape \(state.hidden.shape)"
          + (state.cell.map { " and a cell state \($0.shape)" } ?? " and no cell state")
          + "; it must be \(shape)\(cell == .lstm ? ", both" : " without a cell state")")
    }
    return state
  }

  private func checked(_ lengths: [Int], _ steps: Int, _ rows: Int, on device: Device) throws
    -> Tensor
  {
    guard lengths.count == rows else {
      throw error(.shape, "there are \(lengths.count) lengths for \(rows) rows")
    }
    if let row = lengths.firstIndex(where: { $0 < 1 || $0 > steps }) {
      throw error(
        .value, "the length of row \(row) is \(lengths[row]); it must be within 1...\(steps)")
    }
    return try Tensor(lengths.map { Int32(clamping: $0) }, on: device)
  }

  private func error(_ kind: ApusError.Kind, _ message: String) -> ApusError {
    ApusError(kind, operation: cell.layerName, message)
  }
}

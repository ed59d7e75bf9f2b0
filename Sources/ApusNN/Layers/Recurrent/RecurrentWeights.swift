import ApusDevice
import ApusTensor

/// How the parameters of a recurrent layer get their first values.
///
/// By default all are uniform within `±1/√hiddenSize`, as PyTorch's.
public struct RecurrentInitialization: Sendable, Hashable {
  /// For the weights that multiply the input.
  public var input: Initializer?
  /// For the weights that multiply the state, drawn for each gate on its own: `.orthogonal()` keeps
  /// the length of a state over many steps (Saxe et al. 2014).
  public var recurrent: Initializer?
  /// What the bias of an LSTM's forget gate sums to: 1 lets a state last from the start (Gers 1999,
  /// Jozefowicz et al. 2015).
  public var forgetBias: Float?

  public init(
    input: Initializer? = nil, recurrent: Initializer? = nil, forgetBias: Float? = nil
  ) {
    self.input = input
    self.recurrent = recurrent
    self.forgetBias = forgetBias
  }
}

/// The parameters of a recurrent cell: one layer in one direction.
struct RecurrentWeights: Sendable {
  /// `[G · H, I]`, the gates below each other.
  let input: Parameter
  /// `[G · H, H]`.
  let hidden: Parameter
  /// `[G · H]`.
  let inputBias: Parameter?
  let hiddenBias: Parameter?

  init(input: Parameter, hidden: Parameter, inputBias: Parameter?, hiddenBias: Parameter?) {
    self.input = input
    self.hidden = hidden
    self.inputBias = inputBias
    self.hiddenBias = hiddenBias
  }

  init(
    _ cell: Recurrence.Cell, inputSize: Int, hiddenSize: Int, bias: Bool,
    _ initialization: RecurrentInitialization, key: RandomKey, on device: Device
  ) throws {
    let keys = key.split(4)
    let bound = 1 / Float(hiddenSize).squareRoot()
    let spread = Initializer.uniform(low: -bound, high: bound)
    let gates = cell.gateCount
    func matrix(_ initializer: Initializer?, _ columns: Int, _ key: RandomKey) throws -> Parameter {
      let shape = [gates * hiddenSize, columns]
      guard let initializer else {
        return Parameter(try spread.tensor(shape, key: key, on: device))
      }
      let values = try key.split(gates).flatMap {
        try initializer.values([hiddenSize, columns], key: $0)
      }
      return Parameter(try Tensor(values, shape: shape, on: device))
    }
    func vector(_ key: RandomKey, forget: Float?) throws -> Parameter {
      var values = try spread.values([gates * hiddenSize], key: key)
      if cell == .lstm, let forget {
        for unit in hiddenSize..<2 * hiddenSize { values[unit] = forget }
      }
      return Parameter(try Tensor(values, on: device))
    }
    input = try matrix(initialization.input, inputSize, keys[0])
    hidden = try matrix(initialization.recurrent, hiddenSize, keys[1])
    let forget = initialization.forgetBias
    inputBias = bias ? try vector(keys[2], forget: forget) : nil
    hiddenBias = bias ? try vector(keys[3], forget: forget.map { _ in 0 }) : nil
  }

  /// Parameters under PyTorch's names with a suffix: `weight_ih_l0_reverse`.
  func named(_ suffix: String) -> [NamedParameter] {
    let all = [
      ("weight_ih", input), ("weight_hh", hidden), ("bias_ih", inputBias), ("bias_hh", hiddenBias),
    ]
    return all.compactMap { name, parameter in
      parameter.map { NamedParameter(name: name + suffix, parameter: $0) }
    }
  }

  /// The layer on `[T, B, I]`.
  func run(
    _ cell: Recurrence.Cell, _ x: Tensor, hidden state: Tensor, cellState: Tensor?,
    lengths: Tensor?, isReversed: Bool, _ context: Context
  ) throws -> Tensor.RecurrentResult {
    var before = try inputBias.map { try context[$0] }
    var within = try hiddenBias.map { try context[$0] }
    if cell != .gru, let first = before, let second = within {
      // Both are added to the same sums: together they cost one addition and one gradient.
      (before, within) = (nil, try first + second)
    }
    return try x.linear(try context[input], bias: before).recurrence(
      cell, weight: try context[hidden], bias: within, hidden: state, cellState: cellState,
      lengths: lengths, isReversed: isReversed)
  }
}

extension Recurrence.Cell {
  /// The type's name in messages and descriptions.
  var layerName: String {
    switch self {
    case .tanh, .relu: "RNN"
    case .lstm: "LSTM"
    case .gru: "GRU"
    }
  }
}

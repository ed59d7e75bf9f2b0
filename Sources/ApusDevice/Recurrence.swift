/// One layer of a recurrent network in one direction, over whole sequences.
///
/// Sequences are time-major: `T` steps of `B` rows. With `x` the input of a step (its products with
/// the input weights arrive as `gates`, for they need no state and are one product over all times),
/// `h` the state before it and `W` the recurrent weight, in PyTorch's order of gates:
///
/// | cell | formulas |
/// |---|---|
/// | tanh, relu | `h′ = f(x + W h + b)` |
/// | lstm | `i, f, o = σ(…)`, `g = tanh(…)`, each of `x + W h + b`; `c′ = f c + i g`, `h′ = o tanh c′` |
/// | gru | `r, z = σ(x + W h + b)`, `n = tanh(x + r (W h + b))`, `h′ = (1 − z) n + z h` |
///
/// (Elman 1990; Hochreiter and Schmidhuber 1997 with the forget gate of Gers 1999; Cho 2014, with the
/// reset after the product.) A row with a length takes part in that many steps: beyond them its output
/// is 0 and its state stays. A reversed pass begins at the row's own last step. What stands in steps
/// beyond the length is never read.
public struct Recurrence: Sendable, Hashable {
  public enum Cell: String, Sendable, Hashable, CaseIterable {
    case tanh, relu, lstm, gru
  }

  public var cell: Cell
  public var isReversed: Bool
  /// Whether a bias of the recurrent product follows the weight.
  public var hasBias: Bool
  /// Whether the number of steps of each row is given; all take part in every step otherwise.
  public var hasLengths: Bool

  public init(
    _ cell: Cell, isReversed: Bool = false, hasBias: Bool = false, hasLengths: Bool = false
  ) {
    self.cell = cell
    self.isReversed = isReversed
    self.hasBias = hasBias
    self.hasLengths = hasLengths
  }

  /// `G`: blocks of `H` columns in `gates`.
  public var gateCount: Int { cell.gateCount }
  /// `S`: blocks of `H` columns in `saved`.
  public var savedCount: Int { cell.savedCount }
  public var hasCellState: Bool { cell == .lstm }

  /// The steps in the order of the pass.
  public func steps(_ count: Int) -> [Int] {
    isReversed ? (0..<count).reversed() : Array(0..<count)
  }
}

extension Recurrence.Cell {
  public var gateCount: Int {
    switch self {
    case .tanh, .relu: 1
    case .lstm: 4
    case .gru: 3
    }
  }

  /// What the backward pass needs beside the outputs: `i, f, g, o, c′` of an LSTM, `r, z, n` and the
  /// recurrent part of `n` of a GRU.
  public var savedCount: Int {
    switch self {
    case .tanh, .relu: 0
    case .lstm: 5
    case .gru: 4
    }
  }
}

extension Recurrence {
  /// The operands of ``Operation/recurrence(_:)`` by name.
  public struct Forward: Sendable {
    public let gates: Operand
    public let weight: Operand
    public let bias: Operand?
    public let h0: Operand
    public let c0: Operand?
    public let lengths: Operand?
    public let y: Operand
    public let hn: Operand
    public let cn: Operand?
    public let saved: Operand?

    public init(_ command: Command, _ recurrence: Recurrence) {
      var inputs = command.inputs[...]
      var outputs = command.outputs[...]
      gates = inputs.removeFirst()
      weight = inputs.removeFirst()
      bias = recurrence.hasBias ? inputs.removeFirst() : nil
      h0 = inputs.removeFirst()
      c0 = recurrence.hasCellState ? inputs.removeFirst() : nil
      lengths = recurrence.hasLengths ? inputs.removeFirst() : nil
      y = outputs.removeFirst()
      hn = outputs.removeFirst()
      cn = recurrence.hasCellState ? outputs.removeFirst() : nil
      saved = outputs.popFirst()
    }
  }

  /// The operands of ``Operation/recurrenceBackward(_:)`` by name.
  public struct Backward: Sendable {
    public let weight: Operand
    public let y: Operand
    public let saved: Operand?
    public let h0: Operand
    public let c0: Operand?
    public let lengths: Operand?
    public let dy: Operand
    public let dhn: Operand
    public let dcn: Operand?
    public let dgates: Operand
    public let dweight: Operand
    public let dbias: Operand?
    public let dh0: Operand
    public let dc0: Operand?

    public init(_ command: Command, _ recurrence: Recurrence) {
      var inputs = command.inputs[...]
      var outputs = command.outputs[...]
      weight = inputs.removeFirst()
      y = inputs.removeFirst()
      saved = recurrence.savedCount > 0 ? inputs.removeFirst() : nil
      h0 = inputs.removeFirst()
      c0 = recurrence.hasCellState ? inputs.removeFirst() : nil
      lengths = recurrence.hasLengths ? inputs.removeFirst() : nil
      dy = inputs.removeFirst()
      dhn = inputs.removeFirst()
      dcn = recurrence.hasCellState ? inputs.removeFirst() : nil
      dgates = outputs.removeFirst()
      dweight = outputs.removeFirst()
      dbias = recurrence.hasBias ? outputs.removeFirst() : nil
      dh0 = outputs.removeFirst()
      dc0 = recurrence.hasCellState ? outputs.removeFirst() : nil
    }

    /// The products of matrices, as operands of `gemm`, that `dweight` consists of, with `dgates` and the
    /// states `previous` `[T·B, H]` before each step.
    ///
    /// The gradients of the recurrent product are those of the gates, but for a GRU's candidate, whose product
    /// is reset: `reset` `[T·B, H]` has those.
    package func weightProducts(_ dgates: Operand, reset: Operand?, previous: Operand)
      -> [(inputs: [Operand], output: Operand)]
    {
      let (rows, gates) = (previous.shape[0], dweight.shape[0])
      let direct = gates - (reset?.shape[1] ?? 0)
      let table = Layout(contiguous: [rows, gates], offset: dgates.layout.offset)
      let parts = [dgates.with(table.sliced(axis: 1, start: 0, length: direct)), reset]
      var first = 0
      return parts.compactMap { $0 }.map { part in
        let count = part.shape[1]
        defer { first += count }
        return (
          [part.with(part.layout.permuted([1, 0])).asBatch, previous.asBatch],
          dweight.with(dweight.layout.sliced(axis: 0, start: first, length: count)).asBatch
        )
      }
    }
  }
}

extension Operand {
  /// A matrix as a batch of one.
  fileprivate var asBatch: Operand {
    with(Layout(shape: [1] + shape, strides: [0] + layout.strides, offset: layout.offset))
  }
}

import ApusDevice

extension Tensor {
  /// What a pass over sequences gives.
  public struct RecurrentResult: Sendable {
    /// `[T, B, H]`: the state after each step, 0 beyond a row's length.
    public let output: Tensor
    /// `[B, H]`: the state after the last step of each row.
    public let hidden: Tensor
    /// `[B, H]`: the cell state of an LSTM.
    public let cell: Tensor?
  }

  /// A recurrent layer in one direction over whole sequences, one operation; this tensor holds the
  /// products of its input with the input weights, `[T, B, G · H]`, `float32` (`float64` where the
  /// device has it).
  ///
  /// Formulas, the order of gates and the treatment of lengths are described at ``Recurrence``.
  /// - Parameters:
  ///   - weight: `[G · H, H]`, multiplies the state.
  ///   - bias: `[G · H]`, added to that product.
  ///   - hidden: `[B, H]`, the state before the first step.
  ///   - cellState: `[B, H]` for an LSTM, nil for others.
  ///   - lengths: `int32[B]`, how many steps of each row count; limited to `0...T`.
  ///   - isReversed: Whether rows are passed from their last step to the first.
  /// - Throws: ``ApusError`` where shapes or types do not fit.
  public func recurrence(
    _ cell: Recurrence.Cell, weight: Tensor, bias: Tensor? = nil, hidden: Tensor,
    cellState: Tensor? = nil, lengths: Tensor? = nil, isReversed: Bool = false
  ) throws -> RecurrentResult {
    try checkRecurrence(cell, weight, bias, hidden, cellState, lengths)
    let kind = Recurrence(
      cell, isReversed: isReversed, hasBias: bias != nil, hasLengths: lengths != nil)
    let (steps, rows, width) = (shape[0], shape[1], weight.shape[1])
    let sources = [self, weight, bias, hidden, cellState].compactMap { $0 }
    let inputs = (sources + [lengths].compactMap { $0 }).map(\.detached)
    _ = try Tensor.commonDevice(inputs, .recurrence(kind))
    let tape = try Tape.watching(sources)
    func made(_ shape: [Int]) throws -> Tensor {
      try Tensor.allocated(shape, dtype, on: device)
    }
    var outputs = [try made([steps, rows, width]), try made([rows, width])]
    if kind.hasCellState { outputs.append(try made([rows, width])) }
    let saved =
      tape != nil && kind.savedCount > 0
      ? try made([steps, rows, kind.savedCount * width]) : nil
    try device.backend.enqueue(
      Command(
        .recurrence(kind), inputs: inputs.map(\.operand),
        outputs: (outputs + [saved].compactMap { $0 }).map(\.operand)))
    if let tape {
      outputs = try tape.record(
        outputs, from: sources,
        pullback: RecurrentPass(
          kind: kind, weight: weight.detached, y: outputs[0], saved: saved,
          hidden: hidden.detached, cellState: cellState?.detached, lengths: lengths?.detached
        ).gradients)
    }
    return RecurrentResult(
      output: outputs[0], hidden: outputs[1], cell: kind.hasCellState ? outputs[2] : nil)
  }

  private func checkRecurrence(
    _ cell: Recurrence.Cell, _ weight: Tensor, _ bias: Tensor?, _ hidden: Tensor,
    _ cellState: Tensor?, _ lengths: Tensor?
  ) throws {
    func fail(_ message: String) -> ApusError {
      ApusError(.shape, operation: "recurrence (\(cell))", message)
    }
    guard weight.rank == 2, weight.shape[0] == cell.gateCount * weight.shape[1],
      weight.shape[1] > 0
    else {
      throw fail(
        "the recurrent weight has shape \(weight.shape); it must be [\(cell.gateCount) · H, H]")
    }
    let width = weight.shape[1]
    guard rank == 3, shape[2] == cell.gateCount * width else {
      throw fail(
        "gates \(shape) do not fit the recurrent weight \(weight.shape); they must be "
          + "[T, B, \(cell.gateCount * width)]")
    }
    if let bias, bias.shape != [weight.shape[0]] {
      throw fail("the bias has shape \(bias.shape); it must be [\(weight.shape[0])]")
    }
    for (name, state) in [("hidden", hidden), ("cell", cellState ?? hidden)]
    where state.shape != [shape[1], width] {
      throw fail(
        "the initial \(name) state has shape \(state.shape); it must be [\(shape[1]), \(width)]")
    }
    guard (cellState != nil) == (cell == .lstm) else {
      throw fail("a cell state belongs to an LSTM, and only there")
    }
    if let lengths, lengths.shape != [shape[1]] {
      throw fail(
        "lengths have shape \(lengths.shape); they must be [\(shape[1])], one for each row")
    }
    for x in [self, weight, bias, hidden, cellState].compactMap({ $0 })
    where x.dtype != dtype || (dtype != .float32 && dtype != .float64) {
      throw ApusError(
        .dtype, operation: "recurrence (\(cell))",
        "takes float32 everywhere, not \(dtype) and \(x.dtype); cast with `to(.float32)`")
    }
    if let lengths, lengths.dtype != .int32 {
      throw ApusError(
        .dtype, operation: "recurrence (\(cell))",
        "lengths are \(lengths.dtype), not int32; cast with `to(.int32)`")
    }
  }
}

/// What the backward pass of a recurrence needs.
private struct RecurrentPass: Sendable {
  let kind: Recurrence
  let weight: Tensor
  let y: Tensor
  let saved: Tensor?
  let hidden: Tensor
  let cellState: Tensor?
  let lengths: Tensor?

  /// From the gradients of output, state and cell state to those of gates, weight, bias and states.
  @Sendable func gradients(_ given: [Tensor?]) throws -> [Tensor?] {
    let device = y.device
    func made(_ shape: [Int]) throws -> Tensor {
      try Tensor.allocated(shape, y.dtype, on: device)
    }
    /// Zeros are one element, seen in the shape.
    func gradient(_ index: Int, like x: Tensor) throws -> Tensor {
      if let known = given[index] { return known }
      let zero = try Tensor.zeros([], dtype: y.dtype, on: device)
      return zero.viewed(zero.operand.layout.broadcast(to: x.shape))
    }
    var inputs = [weight, y] + [saved, hidden, cellState, lengths].compactMap { $0 }
    inputs += [try gradient(0, like: y), try gradient(1, like: hidden)]
    if let cellState { inputs.append(try gradient(2, like: cellState)) }
    let gates = weight.shape[0]
    var outputs = [try made([y.shape[0], y.shape[1], gates]), try made(weight.shape)]
    if kind.hasBias { outputs.append(try made([gates])) }
    outputs.append(try made(hidden.shape))
    if kind.hasCellState { outputs.append(try made(hidden.shape)) }
    try device.backend.enqueue(
      Command(
        .recurrenceBackward(kind), inputs: inputs.map(\.operand), outputs: outputs.map(\.operand)))
    return outputs
  }
}

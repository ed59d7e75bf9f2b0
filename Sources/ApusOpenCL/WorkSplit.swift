import ApusDevice

// Commands whose work space does not fit are cut in two along an axis whose elements do not depend on
// each other, and each half is tried again. The cut depends on limits alone, so where memory is not
// short for other reasons, repeats agree bit for bit.

extension OpenCLBackend {
  /// Runs the halves of a command that failed for want of memory.
  /// - Throws: `error`, with what the memory was for, where the command cannot be cut.
  func enqueueHalves(_ command: Command, _ error: ApusError) throws {
    let named = error.asking(for: command.operation.name)
    switch command.operation {
    case .convolution, .convolutionInputGradient:
      // Weight and bias belong to every image; the addend is the fourth input.
      let halves = try halved(command, axis: 0, inputs: [0, 3], named)
      for half in halves { try enqueue(half) }
    case .convolutionWeightGradient:
      let halves = try halved(command, axis: 0, inputs: [0, 1], outputs: [], named)
      try enqueue(halves[0])
      let rest = try command.outputs.map { try temporary($0.shape) }
      try enqueue(Command(command.operation, inputs: halves[1].inputs, outputs: rest))
      for (sum, part) in zip(command.outputs, rest) {
        try enqueue(.binary(.add), [sum, part], [sum])
      }
    case .sort(let axis, _), .topK(_, let axis, _):
      let shape = command.inputs[0].shape
      guard let other = shape.indices.first(where: { $0 != axis && shape[$0] > 1 }) else {
        throw named
      }
      for half in try halved(command, axis: other, inputs: [0], named) { try enqueue(half) }
    default: throw named
    }
  }

  /// Both halves along an axis, which the named operands have; the other operands stay whole.
  private func halved(
    _ command: Command, axis: Int, inputs: Set<Int>, outputs: Set<Int>? = nil, _ error: ApusError
  ) throws -> [Command] {
    let extent = command.inputs[0].shape[axis]
    guard extent > 1 else { throw error }
    return [0..<extent / 2, extent / 2..<extent].map { range in
      func cut(_ operands: [Operand], _ chosen: Set<Int>?) -> [Operand] {
        operands.enumerated().map { i, operand in
          chosen?.contains(i) ?? true ? operand.narrowed(axis, to: range) : operand
        }
      }
      return Command(
        command.operation, inputs: cut(command.inputs, inputs),
        outputs: cut(command.outputs, outputs))
    }
  }
}

extension Operand {
  fileprivate func narrowed(_ axis: Int, to range: Range<Int>) -> Operand {
    var shape = layout.shape
    shape[axis] = range.count
    return with(
      Layout(
        shape: shape, strides: layout.strides,
        offset: layout.offset + range.lowerBound * layout.strides[axis]))
  }
}

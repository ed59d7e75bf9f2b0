import COpenCL

/// An operand of a step: `count` elements of a buffer from `offset` on, or one element for all.
struct ChainOperand {
  var buffer: cl_mem
  var offset: Int32
  var isSplat: Bool
}

/// What a step computes: a function of up to three operands and its parameters.
struct StepFunction {
  var family: StepFamily
  var op: UInt8
  var a: Float = 0
  var b: Float = 0
  /// Which operand of a binary function is `a` instead of a tensor, -1 for none.
  var constant: Int = -1
}

/// Element-wise commands that wait to be launched together, in the order in which they came.
///
/// A host thread spends several microseconds on a launch, and each launch reads and writes memory anew.
/// So commands on dense `float32` operands of one length are gathered here until any other command, a
/// transfer or a wait comes, or the chain is full; then one kernel runs them all. Nothing above can tell:
/// the results are the same bits, and everything that could look at them comes later in the queue.
///
/// A chain owns no memory. A tensor that dies while the chain waits gives its buffer back to the pool, and
/// the chain then keeps the value from memory (`forget`). The buffer may come back as the output of a
/// later step; that is why all uses of one buffer in a chain must be of the same elements, unless none writes.
struct ElementwiseChain {
  static let maximumSteps = 16
  static let slotCount = 12
  /// Bytes of all arguments of the kernel: the list and the addresses.
  static let argumentSize =
    MemoryLayout<ChainArguments>.size + slotCount * MemoryLayout<cl_mem>.size
  /// Elements that a work-item on a CPU takes at a time.
  static let block = 256

  private var arguments = ChainArguments()
  /// The first step, which may stay the only one.
  private var first = ChainStep()
  /// The length of every operand.
  var count: Int32 { arguments.count }
  /// The buffers behind the slots in use.
  private(set) var buffers = InlineArray<12, cl_mem?>(repeating: nil)
  private(set) var slots = 0
  private var isSplat = InlineArray<12, Bool>(repeating: false)
  /// The last step that writes the slot, -1 for none.
  private var writer = InlineArray<12, Int>(repeating: -1)
  /// The slot of the first step's result, wanted or not.
  private var firstTarget = 0

  var isEmpty: Bool { arguments.steps == 0 }
  var isSingle: Bool { arguments.steps == 1 }

  mutating func removeAll() {
    arguments.steps = 0
    slots = 0
  }

  /// Adds a step, or leaves the chain as it is and returns false if this one does not fit.
  mutating func append(
    _ function: StepFunction, count: Int32, _ x: ChainOperand, _ y: ChainOperand?,
    _ z: ChainOperand?, to out: ChainOperand
  ) -> Bool {
    let index = Int(arguments.steps)
    guard index < Self.maximumSteps, index == 0 || count == self.count else { return false }
    let before = slots
    var step = ChainStep(
      family: function.family, op: function.op, a: function.a, b: function.b)
    var position = 0
    func put(_ source: UInt8) {
      step.from[position] = source
      position += 1
    }
    for index in 0..<3 {
      if position == function.constant { put(ChainSource.constant) }
      guard let operand = index == 0 ? x : index == 1 ? y : z else { continue }
      guard let slot = slot(for: operand, writes: false) else {
        slots = before
        return false
      }
      if writer[slot] >= 0 {
        put(UInt8(truncatingIfNeeded: writer[slot]))
      } else {
        put(
          (operand.isSplat ? ChainSource.splat : ChainSource.memory)
            + UInt8(truncatingIfNeeded: slot))
      }
    }
    guard let target = slot(for: out, writes: true) else {
      slots = before
      return false
    }
    // What an earlier step left there is overwritten before anything can read it.
    if writer[target] >= 0 { arguments.keepFromMemory(writer[target]) }
    writer[target] = index
    step.operands = UInt8(truncatingIfNeeded: position)
    step.slot = UInt8(truncatingIfNeeded: target)
    if index == 0 { (first, firstTarget) = (step, target) }
    arguments.append(step)
    arguments.count = count
    return true
  }

  /// The slot of the operand, new or old; nil if there is none left or the buffer is used otherwise.
  private mutating func slot(for operand: ChainOperand, writes: Bool) -> Int? {
    var found: Int?
    for slot in 0..<slots where buffers[slot] == operand.buffer {
      if arguments.offset[slot] == operand.offset && isSplat[slot] == operand.isSplat {
        found = slot
      } else if writes || writer[slot] >= 0 {
        return nil
      }
    }
    if let found { return found }
    guard slots < Self.slotCount else { return nil }
    buffers[slots] = operand.buffer
    arguments.offset[slots] = operand.offset
    isSplat[slots] = operand.isSplat
    writer[slots] = -1
    slots += 1
    return slots - 1
  }

  /// The last owner of the buffer has died: no one will read what the chain would leave there.
  mutating func forget(_ buffer: cl_mem) {
    for slot in 0..<slots where buffers[slot] == buffer && writer[slot] >= 0 {
      arguments.keepFromMemory(writer[slot])
    }
  }

  /// The arguments for the kernel, in chunks of that many elements.
  func arguments(chunk: Int, streams: Bool) -> ChainArguments {
    var arguments = arguments
    arguments.chunk = Int32(truncatingIfNeeded: chunk)
    arguments.streams = streams ? 1 : 0
    return arguments
  }

  /// The only step, as the kernels for single commands take it.
  var single: SingleStep {
    let step = first
    var result = SingleStep(
      function: StepFunction(
        family: step.family, op: step.op, a: step.a, b: step.b))
    result.operands.reserveCapacity(4)
    for position in -1..<Int(step.operands) {
      let source = position < 0 ? ChainSource.memory + UInt8(firstTarget) : step.from[position]
      if source == ChainSource.constant {
        result.function.constant = position
        continue
      }
      let slot = Int(
        source >= ChainSource.splat ? source - ChainSource.splat : source - ChainSource.memory)
      if let buffer = buffers[slot] {
        result.operands.append(
          ChainOperand(
            buffer: buffer, offset: arguments.offset[slot], isSplat: source >= ChainSource.splat))
      }
    }
    return result
  }
}

/// A function with its output and inputs.
struct SingleStep {
  var function: StepFunction
  /// The output, then the inputs.
  var operands: [ChainOperand] = []
}

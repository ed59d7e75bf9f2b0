import ApusDevice

/// Which functions a step applies; the raw values are what chain.cl adds to their codes.
enum StepFamily: UInt8 { case unary = 0, derivative = 32, binary = 64, ternary = 96 }

/// A step as the commands asked for it.
struct ChainStep: BitwiseCopyable {
  var family = StepFamily.unary
  var op: UInt8 = 0
  var operands: UInt8 = 0
  /// Where the result is stored, `ElementwiseChain.slotCount` for nowhere.
  var slot: UInt8 = 0
  var from = InlineArray<3, UInt8>(repeating: ChainSource.none)
  var a: Float = 0
  var b: Float = 0
}

/// Where an operand comes from, in the numbers of chain.cl: the value of the step of that number, below 16, or
/// one of these.
enum ChainSource {
  /// Plus the slot.
  static let (memory, splat) = (UInt8(16), UInt8(32))
  /// The number `a` of the step.
  static let constant = UInt8(64)
  /// What the step before left in registers.
  static let previous = UInt8(65)
  static let none = UInt8(255)
}

/// `Step` of chain.cl.
private struct ChainInstruction: BitwiseCopyable {
  var function: UInt8 = 0
  var slot: UInt8 = 0
  /// Whether a later step fetches the result, which then is not in registers any more.
  var copies: UInt8 = 0
  var unused: UInt8 = 0
  var from = InlineArray<4, UInt8>(repeating: ChainSource.none)
  var a: Float = 0
  var b: Float = 0
}

/// `Chain` of chain.cl.
struct ChainArguments: BitwiseCopyable {
  var count: Int32 = 0
  var chunk: Int32 = 0
  var steps: Int32 = 0
  var streams: Int32 = 0
  var offset = InlineArray<12, Int32>(repeating: 0)
  private var step = InlineArray<16, ChainInstruction>(repeating: ChainInstruction())

  /// The result of the step is stored nowhere after all.
  mutating func keepFromMemory(_ index: Int) {
    step[index].slot = UInt8(truncatingIfNeeded: ElementwiseChain.slotCount)
  }

  mutating func append(_ source: ChainStep) {
    let index = Int(steps)
    steps += 1
    var instruction = ChainInstruction(
      function: source.family.rawValue + source.op, slot: source.slot, a: source.a, b: source.b)
    var from = source.from
    let previous = index > 0 ? UInt8(truncatingIfNeeded: index - 1) : ChainSource.none
    if index > 0, source.family == .binary, from[1] == previous,
      let function = Self.exchanged(source, previous)
    {
      instruction.function = function
      from = [previous, from[0] == previous ? ChainSource.none : from[0], ChainSource.none]
    }
    for position in 0..<Int(source.operands) {
      if position == 0 && index > 0 && from[0] == previous {
        instruction.from[0] = ChainSource.previous
        continue
      }
      instruction.from[position] = from[position]
      if from[position] < ChainSource.memory { step[Int(from[position])].copies = 1 }
    }
    step[index] = instruction
  }

  /// The function of chain.cl that takes the second operand of the step first, nil if none does.
  private static func exchanged(_ step: ChainStep, _ previous: UInt8) -> UInt8? {
    let takesPreviousTwice = step.from[0] == previous
    switch BinaryOp(rawValue: step.op) {
    case .multiply where takesPreviousTwice:
      return StepFamily.unary.rawValue + UInt8(truncatingIfNeeded: UnaryOp.square.kernelCode.0)
    case .add, .multiply:
      // Of two NaNs the first one is the result, so only a number may change places.
      let isNumber = step.from[0] == ChainSource.constant && !step.a.isNaN
      return isNumber ? step.family.rawValue + step.op : nil
    case .subtract: return takesPreviousTwice ? nil : subtractFrom
    case .divide: return takesPreviousTwice ? nil : divideFrom
    default: return nil
    }
  }

  private static let (subtractFrom, divideFrom) = (UInt8(128), UInt8(129))
}

import ApusDevice
import CVector

extension CPUBackend {
  /// Adds an element-wise command on long dense `float32` operands to those that run in one pass; false
  /// for others, which run now.
  func joins(_ command: Command) throws -> Bool {
    guard let out = command.outputs.first, out.dtype == .float32,
      out.count >= ElementwiseChain.shortest,
      out.layout.isContiguous || out.layout.isChannelsLast,
      let function = command.operation.chainFunction
    else { return false }
    var operands = command.inputs
    if case .unaryBackward(let op) = command.operation, op.saved == .nothing, let dy = operands.last
    {
      // What is not read may be of any type; the gradient stands in for it.
      operands = [dy, dy]
    }
    var inputs: [ChainInput] = []
    inputs.reserveCapacity(3)
    for operand in operands {
      guard let input = try chainInput(operand, like: out) else { return false }
      inputs.append(input)
    }
    if let constant = function.constant {
      inputs.insert(.constant(constant), at: function.constantIsFirst ? 0 : 1)
    }
    let target = try own(out.storage)
    return memory.chain.join(
      function.code, function.parameters, inputs, to: target, floats(target, out), count: out.count)
  }

  private func floats(_ storage: CPUStorage, _ operand: Operand) -> UnsafeMutablePointer<Float> {
    storage.block.assumingMemoryBound(to: Float.self) + operand.layout.offset
  }

  /// Nil unless the operand is dense in the order of `out`, or one element for all.
  private func chainInput(_ operand: Operand, like out: Operand) throws -> ChainInput? {
    guard operand.dtype == .float32 else { return nil }
    let storage = try own(operand.storage)
    let (layout, order) = (operand.layout, out.layout)
    var (isAlike, isRepeated) = (true, true)
    for axis in layout.shape.indices where layout.shape[axis] != 1 {
      isAlike = isAlike && layout.strides[axis] == order.strides[axis]
      isRepeated = isRepeated && layout.strides[axis] == 0
    }
    if isAlike { return .dense(storage, floats(storage, operand)) }
    return isRepeated ? .repeated(storage, floats(storage, operand)) : nil
  }
}

/// A loop with its parameters.
private struct ChainFunction {
  var code: apus_operation
  var parameters = apus_parameters()
  /// An operand that is a number.
  var constant: Float?
  var constantIsFirst = false
}

extension Operation {
  /// The function of `float32` operands that a step of a chain applies, nil for other operations.
  fileprivate var chainFunction: ChainFunction? {
    switch self {
    case .unary(let op) where !op.resultIsBool:
      let (code, parameters) = op.code
      return ChainFunction(code: code, parameters: parameters)
    case .unaryBackward(let op) where !op.resultIsBool:
      let (code, parameters) = op.code
      guard code.rawValue <= APUS_IDENTITY.rawValue else { return nil }
      return ChainFunction(
        code: apus_operation(APUS_BACKWARD.rawValue + code.rawValue), parameters: parameters)
    case .binary(let op):
      return (try? op.code(.float32)).map { ChainFunction(code: $0) }
    case .scalar(let op, let value, let reversed):
      return (try? op.code(.float32)).map {
        ChainFunction(code: $0, constant: Float(value), constantIsFirst: reversed)
      }
    case .ternary(.multiplyAdd): return ChainFunction(code: APUS_MULTIPLY_ADD)
    case .ternary(.lerp): return ChainFunction(code: APUS_LERP)
    default: return nil
    }
  }
}

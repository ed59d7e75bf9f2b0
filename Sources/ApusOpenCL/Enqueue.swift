import ApusDevice

extension OpenCLBackend {
  public func enqueue(_ command: Command) throws {
    let (inputs, outputs) = (command.inputs, command.outputs)
    switch command.operation {
    case .fill(let value): try fill(value, outputs[0])
    case .copy: try copy(inputs[0], to: outputs[0])
    case .unary(let op): try unary(op, inputs[0], outputs[0])
    case .unaryBackward(let op):
      // An operation that saves nothing may come with the gradient alone.
      try unaryBackward(op, inputs[0], inputs[inputs.count - 1], outputs[0])
    case .binary(let op): try binary(op, inputs[0], inputs[1], outputs[0])
    case .scalar(let op, let value, let reversed):
      try scalar(op, value, reversed: reversed, inputs[0], outputs[0])
    case .compare(let op): try compare(op, inputs[0], inputs[1], outputs[0])
    case .ternary(let op): try ternary(op, inputs[0], inputs[1], inputs[2], outputs[0])
    case .gemm, .linear:
      try enqueueGemm(command)
    default:
      if command.operation.isFused { try compose(command) } else { throw unavailable(command) }
    }
  }

  func unavailable(_ command: Command) -> ApusError {
    ApusError(
      .device, operation: "\(command.operation)",
      "not available on '\(info.name)'; use another device")
  }

  /// The error for an element type that a kernel does not take.
  func unsupported(_ operation: String, _ dtype: DType, takes: String) -> ApusError {
    ApusError(
      .dtype, operation: operation,
      "'\(info.name)' does not compute this on \(dtype); it takes \(takes); cast first")
  }

  func require(_ dtype: DType, _ operand: Operand, _ operation: @autoclosure () -> String) throws {
    if operand.dtype != dtype {
      throw unsupported(operation(), operand.dtype, takes: "\(dtype)")
    }
  }

  /// Enough work-items to occupy the device, none with too little to do: a chunk per work-item on a
  /// CPU, one element on a GPU up to a grid that fills it.
  @inline(__always)
  func launchSize(_ it: inout Iteration) -> LaunchSize {
    let count = Int(it.count)
    if runtime.isGPU { return LaunchSize(min(count, 256 * 64 * 64), local: 256) }
    let share = count / (runtime.description.computeUnits * 4) + 1
    let chunk = max(4096, (share + 63) & ~63)
    it.chunk = Int32(truncatingIfNeeded: chunk)
    return LaunchSize((count + chunk - 1) / chunk)
  }
}

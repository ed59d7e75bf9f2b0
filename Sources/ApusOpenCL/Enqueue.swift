import ApusDevice

extension OpenCLBackend {
  public func enqueue(_ command: Command) throws {
    if let lightTuner { try lightTuner.run(command, on: self) } else { try attempt(command) }
  }

  /// Runs a command, in halves where memory is short.
  func attempt(_ command: Command) throws {
    do { try run(command) } catch let error as ApusError where error.kind == .outOfMemory {
      try enqueueHalves(command, error)
    }
  }

  private func run(_ command: Command) throws {
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
    case .reduce(let op, let axes): try reduce(op, axes: axes, inputs[0], outputs[0])
    case .argReduce(let op, let axis): try argReduce(op, axis: axis, inputs[0], outputs[0])
    case .cumulativeSum(let axis): try cumulativeSum(axis: axis, inputs[0], outputs[0])
    case .take(let axis):
      let rank = inputs[0].shape.count
      var strides = [Int](repeating: 0, count: rank)
      strides[axis] = inputs[1].layout.strides[0]
      let indices = inputs[1].with(
        Layout(shape: outputs[0].shape, strides: strides, offset: inputs[1].layout.offset))
      try gather(.take, axis: axis, inputs[0], indices, outputs[0])
    case .gather(let axis): try gather(.gather, axis: axis, inputs[0], inputs[1], outputs[0])
    case .indexAdd(let axis):
      var strides = [Int](repeating: 0, count: inputs[2].shape.count)
      strides[axis] = inputs[1].layout.strides[0]
      let indices = inputs[1].with(
        Layout(shape: inputs[2].shape, strides: strides, offset: inputs[1].layout.offset))
      try scatterAdd(.indexAdd, axis: axis, inputs[0], indices, inputs[2], outputs[0])
    case .scatterAdd(let axis):
      try scatterAdd(.scatterAdd, axis: axis, inputs[0], inputs[1], inputs[2], outputs[0])
    case .sort(let axis, let descending):
      try sort(axis: axis, descending: descending, inputs[0], outputs[0], outputs[1])
    case .topK(_, let axis, let largest):
      try sort(axis: axis, descending: largest, inputs[0], outputs[0], outputs[1])
    case .random(let distribution, let key): try random(distribution, key, outputs[0])
    case .dropout(let probability, let key): try dropout(command, probability, key)
    case .softmax: try softmax(command, logarithm: false)
    case .logSoftmax: try softmax(command, logarithm: true)
    case .softmaxBackward: try softmaxBackward(command, logarithm: false)
    case .logSoftmaxBackward: try softmaxBackward(command, logarithm: true)
    case .crossEntropy(let smoothing, let ignored):
      try crossEntropy(command, smoothing: smoothing, ignored: ignored)
    case .layerNorm(let epsilon): try layerNorm(command, epsilon: epsilon)
    case .layerNormBackward: try layerNormBackward(command)
    case .linearActivationBackward(let activation):
      try linearActivationBackward(command, activation)
    case .optimizerStep(let step): try optimizerStep(command, step)
    case .sumOfSquares: try sumOfSquares(command)
    case .convolution(let convolution, let activation):
      try self.convolution(command, convolution, activation)
    case .convolutionInputGradient(let convolution):
      try convolutionInputGradient(command, convolution)
    case .convolutionWeightGradient(let convolution):
      try convolutionWeightGradient(command, convolution)
    case .convolutionBackward(let convolution): try convolutionBackward(command, convolution)
    case .maxPool(let window): try maxPool(command, window)
    case .maxPoolBackward(let window): try maxPoolBackward(command, window)
    case .averagePool(let window, let countsPadding):
      try averagePool(command, window, countsPadding: countsPadding)
    case .averagePoolBackward(let window, let countsPadding):
      try averagePoolBackward(command, window, countsPadding: countsPadding)
    case .adaptiveAveragePool: try adaptivePool(command, .adaptive_pool)
    case .adaptiveAveragePoolBackward: try adaptivePool(command, .adaptive_pool_backward)
    case .upsample(let upsampling): try upsample(command, upsampling)
    case .upsampleBackward(let upsampling): try upsampleBackward(command, upsampling)
    case .batchNorm(let norm): try batchNorm(command, norm)
    case .batchNormBackward(let norm): try batchNormBackward(command, norm)
    case .batchNormInference(let norm): try batchNormInference(command, norm)
    case .recurrence(let recurrence): try self.recurrence(command, recurrence)
    case .recurrenceBackward(let recurrence): try recurrenceBackward(command, recurrence)
    }
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
  func launchSize(_ it: inout Iteration) -> LaunchSize { runtime.launchSize(&it) }

  /// For walks whose elements stand for lines of `cost` elements each.
  @inline(__always)
  func lineLaunchSize(_ it: inout Iteration, cost: Int) -> LaunchSize {
    let count = Int(it.count)
    if runtime.isGPU { return LaunchSize(min(count, 256 * 64 * 64), local: 64) }
    let share = count / (runtime.description.computeUnits * 4) + 1
    let chunk = min(count, max(4096 / max(cost, 1), share))
    it.chunk = Int32(truncatingIfNeeded: max(chunk, 1))
    return LaunchSize((count + max(chunk, 1) - 1) / max(chunk, 1))
  }

  /// A launch of columns in blocks of lanes, each with `rows` of work, in `parts`.
  @inline(__always)
  func columnLaunchSize(_ it: inout Iteration, parts: Int) -> LaunchSize {
    let count = Int(it.count)
    if runtime.isGPU { return LaunchSize(min(count, 1 << 20), parts, local: (64, 1)) }
    let share = count * parts / (runtime.description.computeUnits * 4) + 1
    let chunk = max(64, (share + 63) & ~63)
    it.chunk = Int32(truncatingIfNeeded: chunk)
    return LaunchSize((count + chunk - 1) / chunk, parts)
  }

  /// A launch over rows: chunks of rows on a CPU; on a GPU a work-group for each row, of 64 items, or of 256
  /// by the other kernel.
  @inline(__always)
  func rowLaunch(_ kernel: KernelID, wide: KernelID, _ it: inout Iteration, columns: Int) -> (
    kernel: KernelID, size: LaunchSize
  ) {
    let rows = Int(it.count)
    let isGPU = runtime.isGPU
    let size =
      isGPU ? LaunchSize(rows * 64, local: 64) : lineLaunchSize(&it, cost: columns)
    let usual = Int(it.chunk)
    let choice = tuned(TuningKey(operation: kernel.name, sizes: [rows, columns])) {
      isGPU ? [TuningCandidate([256], isAlike: false)] : chunks(upTo: rows, usual: usual)
    }
    guard let first = choice?.first, first > 0 else { return (kernel, size) }
    if isGPU { return first == 256 ? (wide, LaunchSize(rows * 256, local: 256)) : (kernel, size) }
    it.chunk = Int32(truncatingIfNeeded: min(first, rows))
    return (kernel, LaunchSize((rows + Int(it.chunk) - 1) / Int(it.chunk)))
  }

  /// Rows of a work-item that a tuner may choose from: a work-item for each unit, up to 64 for each.
  private func chunks(upTo rows: Int, usual: Int) -> [TuningCandidate] {
    let units = max(description.computeUnits, 1)
    let all = [1, 2, 4, 8, 16, 32, 64].map { (rows + $0 * units - 1) / ($0 * units) }
    return Set(all).subtracting([usual, 0]).sorted(by: >).map {
      TuningCandidate([$0], isAlike: true)
    }
  }
}

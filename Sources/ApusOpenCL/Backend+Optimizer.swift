import ApusDevice
import COpenCL

/// `Slot` of optimizer.cl: one parameter of a launch.
private struct StepSlot: BitwiseCopyable {
  var count: Int32 = 0
  var first: Int32 = 0
  var items: Int32 = 0
  var from = InlineArray<5, Int32>(repeating: 0)
  var to = InlineArray<4, Int32>(repeating: 0)
}

/// `Step` of optimizer.cl.
private struct StepArguments: BitwiseCopyable {
  static let slotCount = 6

  var rule: Int32 = 0
  var chunk: Int32 = 0
  var hasScale: Int32 = 0
  var scaleOffset: Int32 = 0
  var flag: Int32 = 0
  var flag2: Int32 = 0
  var rate: Float = 0
  var decay: Float = 0
  var a: Float = 0
  var b: Float = 0
  var c: Float = 0
  var d: Float = 0
  var e: Float = 0
  var slots = InlineArray<6, StepSlot>(repeating: StepSlot())

  init(_ step: OptimizerStep) {
    rate = step.learningRate
    decay = step.weightDecay
    switch step.rule {
    case .sgd(let momentum, let dampening, let nesterov, let isFirst):
      (a, b) = (momentum, 1 - dampening)
      (flag, flag2) = (isFirst ? 1 : 0, nesterov ? 1 : 0)
    case .adam(let beta1, let beta2, let epsilon, let correction1, let correction2, let decoupled):
      rule = 1
      (a, b, c, d, e) = (beta1, beta2, epsilon, correction1, correction2.squareRoot())
      flag = decoupled ? 1 : 0
    case .rmsprop(let alpha, let epsilon, let momentum, let centered):
      rule = 2
      (a, b, c) = (alpha, epsilon, momentum)
      flag = centered ? 1 : 0
    case .adagrad(let epsilon):
      rule = 3
      a = epsilon
    }
  }
}

extension OpenCLBackend {
  func optimizerStep(_ command: Command, _ step: OptimizerStep) throws {
    let states = step.stateCount
    let parameters = command.outputs.count / (1 + states)
    let scale = step.hasGradientScale ? command.inputs[parameters * (2 + states)] : nil
    var arguments = StepArguments(step)
    arguments.hasScale = scale == nil ? 0 : 1
    arguments.scaleOffset = try index(scale?.layout.offset ?? 0)
    let used = (0..<parameters).filter { command.inputs[$0 * (2 + states)].count > 0 }
    for start in stride(from: 0, to: used.count, by: StepArguments.slotCount) {
      let group = used[start..<min(start + StepArguments.slotCount, used.count)]
      try launch(command, step, scale, Array(group), arguments)
    }
  }

  /// One launch for at most `StepArguments.slotCount` parameters.
  private func launch(
    _ command: Command, _ step: OptimizerStep, _ scale: Operand?, _ parameters: [Int],
    _ arguments: StepArguments
  ) throws {
    let states = step.stateCount
    var arguments = arguments
    let total = parameters.reduce(0) { $0 + command.inputs[$1 * (2 + states)].count }
    // Drivers deal out half of the work-groups that are left at a time, of whatever size: many even ones.
    let share = total / (max(runtime.description.computeUnits, 1) * 32) + 1
    let chunk = max(4096, (share + 63) & ~63)
    arguments.chunk = Int32(truncatingIfNeeded: chunk)
    var items = 0
    // In the order of the kernel's parameters; nil for states that the rule lacks.
    var tables: [cl_mem?] = []
    for (place, parameter) in parameters.enumerated() {
      let inputs = command.inputs[parameter * (2 + states)..<(parameter + 1) * (2 + states)]
      let outputs = command.outputs[parameter * (1 + states)..<(parameter + 1) * (1 + states)]
      for operand in inputs { try require(.float32, operand, "optimizerStep") }
      let count = inputs[inputs.startIndex].count
      var slot = StepSlot()
      slot.count = try index(count)
      slot.first = try index(items)
      for (k, input) in inputs.enumerated() { slot.from[k] = try index(input.layout.offset) }
      for (k, output) in outputs.enumerated() { slot.to[k] = try index(output.layout.offset) }
      let own =
        runtime.isGPU ? min((count + 255) / 256 * 256, 1 << 20) : (count + chunk - 1) / chunk
      slot.items = Int32(truncatingIfNeeded: own)
      items += own
      arguments.slots[place] = slot
      let missing = [cl_mem?](repeating: nil, count: 3 - states)
      tables += try inputs.map { try buffer($0) } + missing
      tables += try outputs.map { try buffer($0) } + missing
    }
    let padding = StepArguments.slotCount * 9 - tables.count
    tables += [cl_mem?](repeating: nil, count: padding)
    let final = arguments
    let factor = try scale.map { try buffer($0) }
    try runtime.launch(.optimizer_step, LaunchSize(items, local: runtime.isGPU ? 256 : 1)) {
      $0.value(final)
      $0.buffer(factor)
      for table in tables { $0.buffer(table) }
    }
  }

  func sumOfSquares(_ command: Command) throws {
    let inputs = command.inputs
    guard inputs.allSatisfy({ $0.dtype == .float32 && $0.layout.isContiguous }) else {
      return try compose(command)
    }
    let chunk = runtime.isGPU ? 256 : 8192
    var total = 0
    for input in inputs { total += (input.count + chunk - 1) / chunk }
    guard total > 0 else { return try fill(0, command.outputs[0]) }
    let parts = try temporary([total])
    let target = try buffer(parts)
    var first = 0
    for input in inputs where input.count > 0 {
      let count = try index(input.count)
      let pieces = (input.count + chunk - 1) / chunk
      let source = try buffer(input)
      let offset = try index(input.layout.offset)
      try runtime.launch(.sum_of_squares, LaunchSize(pieces)) {
        $0.buffer(source)
        $0.buffer(target)
        $0.value(offset)
        $0.value(count)
        $0.value(Int32(truncatingIfNeeded: chunk))
        $0.value(Int32(truncatingIfNeeded: first))
      }
      first += pieces
    }
    let out = command.outputs[0]
    try reduce(
      .sum, axes: [0], parts,
      out.with(Layout(shape: [1], strides: [1], offset: out.layout.offset)))
  }
}

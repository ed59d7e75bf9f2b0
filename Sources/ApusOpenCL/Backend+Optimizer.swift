import ApusDevice

/// `Step` of optimizer.cl.
private struct StepArguments: BitwiseCopyable {
  var rule: Int32 = 0
  var count: Int32 = 0
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
  var from = InlineArray<5, Int32>(repeating: 0)
  var to = InlineArray<4, Int32>(repeating: 0)

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
    for parameter in 0..<parameters {
      let first = parameter * (2 + states)
      let firstOutput = parameter * (1 + states)
      let gradient = command.inputs[first]
      try require(.float32, gradient, "optimizerStep")
      let count = gradient.count
      guard count > 0 else { continue }
      arguments.count = try index(count)
      for k in 0..<2 + states {
        arguments.from[k] = try index(command.inputs[first + k].layout.offset)
      }
      for k in 0..<1 + states {
        arguments.to[k] = try index(command.outputs[firstOutput + k].layout.offset)
      }
      let size: LaunchSize
      if runtime.isGPU {
        size = LaunchSize(min(count, 1 << 20), local: 256)
      } else {
        let share = count / (runtime.description.computeUnits * 4) + 1
        let chunk = max(4096, (share + 63) & ~63)
        arguments.chunk = Int32(truncatingIfNeeded: chunk)
        size = LaunchSize((count + chunk - 1) / chunk)
      }
      let final = arguments
      let (g, p) = (try buffer(gradient), try buffer(command.inputs[first + 1]))
      // States that the rule lacks are bound to the gradient or parameter and not touched.
      func state(_ k: Int) throws -> Operand {
        k < states ? command.inputs[first + 2 + k] : gradient
      }
      func newState(_ k: Int) throws -> Operand {
        command.outputs[firstOutput + (k < states ? 1 + k : 0)]
      }
      let (s0, s1, s2) = (
        try buffer(state(0)), try buffer(state(1)), try buffer(state(2))
      )
      let out = try buffer(command.outputs[firstOutput])
      let (n0, n1, n2) = (
        try buffer(newState(0)), try buffer(newState(1)), try buffer(newState(2))
      )
      let factor = try buffer(scale ?? gradient)
      try runtime.launch(.optimizer_step, size) {
        $0.value(final)
        $0.buffer(g)
        $0.buffer(p)
        $0.buffer(s0)
        $0.buffer(s1)
        $0.buffer(s2)
        $0.buffer(factor)
        $0.buffer(out)
        $0.buffer(n0)
        $0.buffer(n1)
        $0.buffer(n2)
      }
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

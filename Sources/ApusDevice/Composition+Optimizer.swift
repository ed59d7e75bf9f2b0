extension Backend {
  func composeSumOfSquares(_ command: Command) throws {
    var total = try temporary([])
    try enqueue(.fill(0), [], [total])
    for x in command.inputs {
      let axes = Array(x.shape.indices)
      let squares = try unary(.square, x)
      let sum = axes.isEmpty ? squares : try reduce(.sum, squares, axes: axes).viewed([])
      total = try binary(.add, total, sum)
    }
    try copy(total, to: command.outputs[0])
  }

  func composeOptimizerStep(_ command: Command, _ step: OptimizerStep) throws {
    let inputWidth = 2 + step.stateCount
    let outputWidth = 1 + step.stateCount
    let parameters = command.outputs.count / outputWidth
    let scale = step.hasGradientScale ? command.inputs[parameters * inputWidth] : nil
    for index in 0..<parameters {
      let inputs = Array(command.inputs[index * inputWidth..<(index + 1) * inputWidth])
      let outputs = Array(command.outputs[index * outputWidth..<(index + 1) * outputWidth])
      var gradient = inputs[0]
      if let scale {
        gradient = try binary(.multiply, gradient, scale.broadcast(to: gradient.shape))
      }
      let results = try updated(
        parameter: inputs[1], gradient: gradient, state: Array(inputs[2...]), by: step)
      for (result, output) in zip(results, outputs) { try copy(result, to: output) }
    }
  }

  /// The new parameter and its new state.
  private func updated(
    parameter: Operand, gradient: Operand, state: [Operand], by step: OptimizerStep
  ) throws -> [Operand] {
    let rate = Double(step.learningRate)
    let decay = Double(step.weightDecay)
    var parameter = parameter
    var gradient = gradient
    func mixed(_ a: Operand, _ alpha: Double, _ b: Operand, _ beta: Double) throws -> Operand {
      try binary(.add, try scalar(.multiply, a, alpha), try scalar(.multiply, b, beta))
    }
    func addDecay() throws {
      if decay != 0 { gradient = try mixed(gradient, 1, parameter, decay) }
    }

    switch step.rule {
    case .sgd(let momentum, let dampening, let nesterov, let isFirst):
      try addDecay()
      guard momentum != 0 else { return [try mixed(parameter, 1, gradient, -rate)] }
      let velocity =
        isFirst
        ? gradient
        : try mixed(state[0], Double(momentum), gradient, 1 - Double(dampening))
      let direction = nesterov ? try mixed(gradient, 1, velocity, Double(momentum)) : velocity
      return [try mixed(parameter, 1, direction, -rate), velocity]

    case .adam(let beta1, let beta2, let epsilon, let correction1, let correction2, let decoupled):
      if decoupled {
        if decay != 0 { parameter = try scalar(.multiply, parameter, 1 - rate * decay) }
      } else {
        try addDecay()
      }
      let m = try mixed(state[0], Double(beta1), gradient, 1 - Double(beta1))
      let v = try mixed(state[1], Double(beta2), try unary(.square, gradient), 1 - Double(beta2))
      let root = try scalar(
        .divide, try unary(.sqrt, v), Double(correction2).squareRoot())
      let quotient = try binary(.divide, m, try scalar(.add, root, Double(epsilon)))
      return [try mixed(parameter, 1, quotient, -rate / Double(correction1)), m, v]

    case .rmsprop(let alpha, let epsilon, let momentum, let centered):
      try addDecay()
      let square = try mixed(
        state[0], Double(alpha), try unary(.square, gradient), 1 - Double(alpha))
      var results = [square]
      var variance = square
      if centered {
        let average = try mixed(state[1], Double(alpha), gradient, 1 - Double(alpha))
        variance = try binary(.subtract, square, try unary(.square, average))
        results.append(average)
      }
      let root = try scalar(.add, try unary(.sqrt, variance), Double(epsilon))
      var direction = try binary(.divide, gradient, root)
      if momentum != 0 {
        direction = try mixed(state[results.count], Double(momentum), direction, 1)
        results.append(direction)
      }
      return [try mixed(parameter, 1, direction, -rate)] + results

    case .adagrad(let epsilon):
      try addDecay()
      let sum = try binary(.add, state[0], try unary(.square, gradient))
      let root = try scalar(.add, try unary(.sqrt, sum), Double(epsilon))
      return [try mixed(parameter, 1, try binary(.divide, gradient, root), -rate), sum]
    }
  }
}

import ApusDevice
import CVector

extension CPUBackend {
  func optimizerStep(_ step: OptimizerStep, _ inputs: [Operand], _ outputs: [Operand]) throws {
    let states = step.stateCount
    let parameters = outputs.count / (1 + states)
    var constants = step.constants
    let scale =
      step.hasGradientScale ? UnsafePointer(try floats(inputs[parameters * (2 + states)])) : nil
    try withUnsafeTemporaryAllocation(of: apus_slot.self, capacity: parameters) { slots in
      for index in 0..<parameters {
        let first = index * (2 + states)
        let target = index * (1 + states)
        for operand in inputs[first..<first + 2 + states] {
          try require(.float32, operand, "optimizer step")
        }
        func state(_ k: Int) throws -> UnsafePointer<Float>? {
          k < states ? UnsafePointer(try floats(inputs[first + 2 + k])) : nil
        }
        func newState(_ k: Int) throws -> UnsafeMutablePointer<Float>? {
          k < states ? try floats(outputs[target + 1 + k]) : nil
        }
        slots.initializeElement(
          at: index,
          to: apus_slot(
            count: inputs[first].count, gradient: UnsafePointer(try floats(inputs[first])),
            parameter: UnsafePointer(try floats(inputs[first + 1])),
            state: (try state(0), try state(1), try state(2)),
            new_parameter: try floats(outputs[target]),
            new_state: (try newState(0), try newState(1), try newState(2))))
      }
      guard let first = slots.baseAddress, parameters > 0 else { return }
      apus_optimizer_step(&constants, parameters, first, scale)
    }
  }
}

extension OptimizerStep {
  /// What the loops read; quotients and roots are taken here in double.
  fileprivate var constants: apus_step {
    var step = apus_step()
    step.rate = learningRate
    step.decay = weightDecay
    switch rule {
    case .sgd(let momentum, let dampening, let nesterov, let isFirst):
      step.rule = APUS_SGD
      step.momentum = momentum
      step.dampening_complement = Float(1 - Double(dampening))
      step.nesterov = nesterov
      step.is_first = isFirst
    case .adam(
      let beta1, let beta2, let epsilon, let correction1, let correction2, let decoupled):
      step.rule = APUS_ADAM
      step.beta1 = beta1
      step.beta2 = beta2
      step.beta1_complement = Float(1 - Double(beta1))
      step.beta2_complement = Float(1 - Double(beta2))
      step.epsilon = epsilon
      step.step_size = Float(Double(learningRate) / Double(correction1))
      step.root_correction = Float(1 / Double(correction2).squareRoot())
      step.decoupled = decoupled
    case .rmsprop(let alpha, let epsilon, let momentum, let centered):
      step.rule = APUS_RMSPROP
      step.beta1 = alpha
      step.beta1_complement = Float(1 - Double(alpha))
      step.epsilon = epsilon
      step.momentum = momentum
      step.centered = centered
    case .adagrad(let epsilon):
      step.rule = APUS_ADAGRAD
      step.epsilon = epsilon
    }
    return step
  }
}

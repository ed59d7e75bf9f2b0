import ApusDevice
import ApusTensor
import Synchronization

/// What all optimizers share: the state of each parameter, and one command per step.
final class StepEngine: Sendable {
  private struct State {
    var stepCount = 0
    var learningRate: Float
    /// Per parameter its state, nil until its first step.
    var slots: [[Parameter]?]
  }

  let parameters: [Parameter]
  private let clipping: GradientClipping
  private let weightDecay: Float
  private let slotNames: [String]
  /// What a new state holds, 0 for most.
  private let initialValue: Double
  private let state: Mutex<State>

  init(
    _ parameters: [Parameter], name: String, learningRate: Float, weightDecay: Float,
    clipping: GradientClipping, slotNames: [String], initialValue: Double = 0
  ) throws {
    guard !parameters.isEmpty else {
      throw ApusError(.value, operation: name, "there are no parameters to optimise")
    }
    try requireNonNegative(learningRate, "learningRate", name)
    try requireNonNegative(weightDecay, "weightDecay", name)
    try clipping.validate()
    for parameter in parameters where parameter.dtype != .float32 {
      throw ApusError(
        .dtype, operation: name, "a parameter is \(parameter.dtype); only float32 is optimised")
    }
    var seen = Set<ObjectIdentifier>()
    guard parameters.allSatisfy({ seen.insert(ObjectIdentifier($0)).inserted }) else {
      throw ApusError(.value, operation: name, "a parameter is listed twice")
    }
    self.parameters = parameters
    self.weightDecay = weightDecay
    self.clipping = clipping
    self.slotNames = slotNames
    self.initialValue = initialValue
    state = Mutex(
      State(
        learningRate: learningRate, slots: [[Parameter]?](repeating: nil, count: parameters.count)))
  }

  var learningRate: Float {
    get { state.withLock { $0.learningRate } }
    set { state.withLock { $0.learningRate = newValue } }
  }

  var stepCount: Int { state.withLock { $0.stepCount } }

  /// One step by the rule that `rule` gives for the number of the step, counted from 1.
  func step(
    _ gradients: [Tensor], rule: (_ step: Int, _ learningRate: Float) -> (OptimizerStep.Rule, Float)
  ) throws {
    guard gradients.count == parameters.count else {
      throw ApusError(
        .value, operation: "step",
        "\(gradients.count) gradients for \(parameters.count) parameters; give one for each, "
          + "in their order")
    }
    for (index, (gradient, parameter)) in zip(gradients, parameters).enumerated()
    where gradient.shape != parameter.shape || gradient.dtype != .float32 {
      throw ApusError(
        .shape, operation: "step",
        "gradient \(index) is \(gradient.dtype)\(gradient.shape), its parameter "
          + "float32\(parameter.shape)")
    }
    try state.withLock { state in
      let active = parameters.indices.filter {
        parameters[$0].isTrainable && gradients[$0].count > 0
      }
      guard let first = active.first else { return }
      for index in active where state.slots[index] == nil {
        state.slots[index] = try slotNames.map { _ in
          let parameter = parameters[index]
          return Parameter(
            try .full(parameter.shape, initialValue, on: parameter.device), isTrainable: false)
        }
      }
      let clipped = try clipping.prepared(active.map { gradients[$0] })
      let (rule, learningRate) = rule(state.stepCount + 1, state.learningRate)
      let step = OptimizerStep(
        rule: rule, learningRate: learningRate, weightDecay: weightDecay,
        hasGradientScale: clipped.scale != nil)
      var inputs: [Operand] = []
      var outputs: [Operand] = []
      inputs.reserveCapacity(active.count * (2 + slotNames.count) + 1)
      outputs.reserveCapacity(active.count * (1 + slotNames.count))
      for (position, index) in active.enumerated() {
        inputs.append(try clipped.gradients[position].contiguous().deviceOperand)
        for cell in [parameters[index]] + (state.slots[index] ?? []) {
          let (current, next) = try cell.prepareUpdate()
          inputs.append(current)
          outputs.append(next)
        }
      }
      if let scale = clipped.scale { inputs.append(scale.deviceOperand) }
      try parameters[first].device.backend.enqueue(
        Command(.optimizerStep(step), inputs: inputs, outputs: outputs))
      var next = outputs.makeIterator()
      for index in active {
        for cell in [parameters[index]] + (state.slots[index] ?? []) {
          if let operand = next.next() { cell.commit(operand) }
        }
      }
      state.stepCount += 1
    }
  }

  func saved() -> OptimizerState {
    state.withLock { state in
      var tensors: [String: Tensor] = [:]
      for (index, slots) in state.slots.enumerated() {
        for (name, slot) in zip(slotNames, slots ?? []) { tensors["\(index).\(name)"] = slot.value }
      }
      return OptimizerState(
        stepCount: state.stepCount, learningRate: state.learningRate, tensors: tensors)
    }
  }

  func load(_ saved: OptimizerState) throws {
    var rest = saved.tensors
    var slots: [[Parameter]?] = []
    for (index, parameter) in parameters.enumerated() {
      let found = slotNames.compactMap { rest.removeValue(forKey: "\(index).\($0)") }
      guard found.count == slotNames.count || found.isEmpty else {
        throw ApusError(
          .data, operation: "load", "the state of parameter \(index) lacks some of \(slotNames)")
      }
      for tensor in found where tensor.shape != parameter.shape || tensor.dtype != .float32 {
        throw ApusError(
          .data, operation: "load",
          "the state of parameter \(index) is \(tensor.dtype)\(tensor.shape), the parameter "
            + "float32\(parameter.shape)")
      }
      slots.append(
        found.isEmpty
          ? nil
          : try found.map { Parameter(try $0.to(parameter.device), isTrainable: false) })
    }
    guard rest.isEmpty else {
      throw ApusError(
        .data, operation: "load",
        "the state names what this optimizer does not have: \(rest.keys.sorted())")
    }
    let loaded = slots
    state.withLock { state in
      state.stepCount = saved.stepCount
      state.learningRate = saved.learningRate
      state.slots = loaded
    }
  }
}

func requireNonNegative(_ value: Float, _ name: String, _ operation: String) throws {
  guard value.isFinite, value >= 0 else {
    throw ApusError(
      .value, operation: operation, "\(name) is \(value); it must be finite and not negative")
  }
}

func requireFraction(_ value: Float, _ name: String, _ operation: String) throws {
  guard value >= 0, value < 1 else {
    throw ApusError(.value, operation: operation, "\(name) is \(value); it must be in 0..<1")
  }
}

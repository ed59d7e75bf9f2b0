extension Backend {
  func composeLinear(_ command: Command, _ activation: UnaryOp?) throws {
    let (x, weight, out) = (command.inputs[0], command.inputs[1], command.outputs[0])
    let (m, n) = (x.shape[0], weight.shape[0])
    func batched(_ operand: Operand) -> Operand {
      let layout = operand.layout
      return operand.with(
        Layout(shape: [1] + layout.shape, strides: [0] + layout.strides, offset: layout.offset))
    }
    var result = try temporary([1, m, n])
    try enqueue(
      .gemm, [batched(x), batched(weight.with(weight.layout.permuted([1, 0])))], [result])
    result = result.viewed([m, n])
    if command.inputs.count > 2 {
      result = try binary(.add, result, command.inputs[2].broadcast(to: [m, n]))
    }
    if let activation { result = try unary(activation, result) }
    try copy(result, to: out)
  }

  func composeLinearActivationBackward(_ command: Command, _ activation: UnaryOp?) throws {
    let (y, dy, dz) = (command.inputs[0], command.inputs[1], command.outputs[0])
    if let activation {
      try enqueue(.unaryBackward(activation), [y, dy], [dz])
    } else {
      try copy(dy, to: dz)
    }
    if command.outputs.count > 1 {
      let sum = try reduce(.sum, dz, axes: [0])
      try copy(sum.viewed([dz.shape[1]]), to: command.outputs[1])
    }
  }
}

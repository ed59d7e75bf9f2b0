extension Backend {
  /// `x − max(x)`, then its exponential over their sum, or itself minus the log of that sum.
  func composeSoftmax(_ command: Command, logarithm: Bool) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard x.count > 0 else { return }
    let axis = x.shape.count - 1
    let shifted = try binary(.subtract, x, try reduce(.maximum, x, axes: [axis]))
    let exponentials = try unary(.exp, shifted)
    let sum = try reduce(.sum, exponentials, axes: [axis])
    let result =
      logarithm
      ? try binary(.subtract, shifted, try unary(.log, sum))
      : try binary(.divide, exponentials, sum)
    try copy(result, to: out)
  }

  /// `y · (dy − Σ y · dy)`.
  func composeSoftmaxBackward(_ command: Command) throws {
    let (y, dy) = (command.inputs[0], command.inputs[1])
    let axis = y.shape.count - 1
    let dot = try reduce(.sum, try binary(.multiply, y, dy), axes: [axis])
    try copy(
      try binary(.multiply, y, try binary(.subtract, dy, dot)), to: command.outputs[0])
  }

  /// `dy − exp(y) · Σ dy`.
  func composeLogSoftmaxBackward(_ command: Command) throws {
    let (y, dy) = (command.inputs[0], command.inputs[1])
    let sum = try reduce(.sum, dy, axes: [y.shape.count - 1])
    let weighted = try binary(.multiply, try unary(.exp, y), sum)
    try copy(try binary(.subtract, dy, weighted), to: command.outputs[0])
  }

  func composeCrossEntropy(_ command: Command, smoothing: Float, ignored: Int32) throws {
    let (logits, targets) = (command.inputs[0], command.inputs[1])
    let (rows, classes) = (logits.shape[0], logits.shape[1])
    guard rows > 0 else { return }

    // A row is kept unless its target is `ignored`; ignored targets read class 0 and weigh nothing.
    let marker = try temporary([], .int32)
    try enqueue(.fill(Double(ignored)), [], [marker])
    let keptFlags = try temporary([rows], .bool)
    try enqueue(.compare(.notEqual), [targets, marker.broadcast(to: [rows])], [keptFlags])
    let kept = try temporary([rows])
    try copy(keptFlags, to: kept)
    let zero = try temporary([], .int32)
    try enqueue(.fill(0), [], [zero])
    let safe = try temporary([rows], .int32)
    try enqueue(.ternary(.select), [keptFlags, targets, zero.broadcast(to: [rows])], [safe])

    let logProbabilities = try temporary([rows, classes])
    try enqueue(.logSoftmax, [logits], [logProbabilities])
    let ones = try temporary([])
    try enqueue(.fill(1), [], [ones])
    let weights =
      command.inputs.count > 2
      ? command.inputs[2].broadcast(to: [rows, classes]) : ones.broadcast(to: [rows, classes])

    func picked(_ table: Operand) throws -> Operand {
      let out = try temporary([rows, 1], table.dtype)
      try enqueue(.gather(axis: 1), [table, safe.asColumn], [out])
      return out
    }
    let rowWeight = try binary(.multiply, try picked(weights), kept.viewed([rows, 1]))
    let nll = try binary(.multiply, rowWeight, try picked(logProbabilities))
    // Smoothed part: every class with its own weight.
    let spread = try scalar(
      .multiply, try binary(.multiply, weights, kept.viewed([rows, 1])),
      Double(smoothing) / Double(max(classes, 1)))
    let smooth = try reduce(
      .sum, try binary(.multiply, spread, logProbabilities), axes: [1])
    let loss = try scalar(
      .multiply,
      try binary(.add, try scalar(.multiply, nll, 1 - Double(smoothing)), smooth), -1)
    try copy(loss.viewed([rows]), to: command.outputs[0])
    try copy(rowWeight.viewed([rows]), to: command.outputs[1])

    if command.outputs.count > 2 {
      // loss = −Σ_c q_c · log p_c with q the smoothed, weighted target: d = p · Σ q − q.
      let onTarget = try temporary([rows, classes])
      try enqueue(
        .scatterAdd(axis: 1),
        [spread, safe.asColumn, try scalar(.multiply, rowWeight, 1 - Double(smoothing))],
        [onTarget])
      let total = try reduce(.sum, onTarget, axes: [1])
      let probability = try unary(.exp, logProbabilities)
      let gradient = try binary(
        .subtract, try binary(.multiply, probability, total), onTarget)
      try copy(gradient, to: command.outputs[2])
    }
  }
}

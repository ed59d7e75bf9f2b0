extension Backend {
  func composeLayerNorm(_ command: Command, epsilon: Float) throws {
    let x = command.inputs[0]
    let rows = x.shape[0]
    let mean = try reduce(.mean, x, axes: [1])
    let centered = try binary(.subtract, x, mean)
    let variance = try reduce(.mean, try unary(.square, centered), axes: [1])
    let rstd = try unary(.rsqrt, try scalar(.add, variance, Double(epsilon)))
    var y = try binary(.multiply, centered, rstd)
    if command.inputs.count > 1 {
      y = try binary(.multiply, y, command.inputs[1].broadcast(to: x.shape))
      y = try binary(.add, y, command.inputs[2].broadcast(to: x.shape))
    }
    try copy(y, to: command.outputs[0])
    try copy(mean.viewed([rows]), to: command.outputs[1])
    try copy(rstd.viewed([rows]), to: command.outputs[2])
  }

  /// With `g = dy · weight` and `x̂` the normalised input:
  /// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))`.
  func composeLayerNormBackward(_ command: Command) throws {
    let (x, dy) = (command.inputs[0], command.inputs[3])
    let (mean, rstd) = (command.inputs[1].asColumn, command.inputs[2].asColumn)
    let normalised = try binary(
      .multiply, try binary(.subtract, x, mean.broadcast(to: x.shape)), rstd.broadcast(to: x.shape))
    var g = dy
    if command.inputs.count > 4 {
      g = try binary(.multiply, dy, command.inputs[4].broadcast(to: x.shape))
    }
    let meanG = try reduce(.mean, g, axes: [1])
    let meanGX = try reduce(.mean, try binary(.multiply, g, normalised), axes: [1])
    let inner = try binary(
      .subtract, try binary(.subtract, g, meanG), try binary(.multiply, normalised, meanGX))
    try copy(try binary(.multiply, inner, rstd.broadcast(to: x.shape)), to: command.outputs[0])
    if command.outputs.count > 1 {
      let weightGradient = try reduce(.sum, try binary(.multiply, dy, normalised), axes: [0])
      let biasGradient = try reduce(.sum, dy, axes: [0])
      try copy(weightGradient.viewed([x.shape[1]]), to: command.outputs[1])
      try copy(biasGradient.viewed([x.shape[1]]), to: command.outputs[2])
    }
  }

  func composeDropout(_ command: Command, probability: Float, key: RandomKey) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard probability < 1 else { return try enqueue(.fill(0), [], [out]) }
    let draws = try temporary(x.shape)
    try enqueue(.random(.uniform(low: 0, high: 1), key), [], [draws])
    let limit = try temporary([])
    try enqueue(.fill(Double(probability)), [], [limit])
    let isKept = try temporary(x.shape, .bool)
    try enqueue(
      .compare(.greaterOrEqual), [draws, limit.broadcast(to: x.shape)], [isKept])
    let zero = try temporary([])
    try enqueue(.fill(0), [], [zero])
    let scaled = try scalar(.multiply, x, Double(1 / (1 - probability)))
    try enqueue(.ternary(.select), [isKept, scaled, zero.broadcast(to: x.shape)], [out])
  }
}

extension Backend {
  func composeBatchNorm(_ command: Command, _ norm: BatchNormalization) throws {
    let x = command.inputs[0]
    var rest = command.inputs[1...]
    let channels = x.shape[1]
    let mean = try reduce(.mean, x, axes: [0, 2, 3])
    let centered = try binary(.subtract, x, mean)
    let variance = try reduce(.mean, try unary(.square, centered), axes: [0, 2, 3])
    let rstd = try unary(.rsqrt, try scalar(.add, variance, Double(norm.epsilon)))
    let normalised = try binary(.multiply, centered, rstd)
    let affine = norm.isAffine ? [rest.removeFirst(), rest.removeFirst()] : []
    let running = norm.tracksStatistics ? [rest.removeFirst(), rest.removeFirst()] : []
    try finish(normalised, affine, rest.first, norm, to: command.outputs[0])
    try copy(mean.viewed([channels]), to: command.outputs[1])
    try copy(rstd.viewed([channels]), to: command.outputs[2])
    guard norm.tracksStatistics else { return }
    let (momentum, count) = (Double(norm.momentum), Double(x.count / max(channels, 1)))
    let unbiased = try scalar(.multiply, variance, count / (count - 1))
    for (i, statistic) in [mean, unbiased].enumerated() {
      let kept = try scalar(.multiply, running[i], 1 - momentum)
      let new = try scalar(.multiply, statistic.viewed([channels]), momentum)
      try copy(try binary(.add, kept, new), to: command.outputs[3 + i])
    }
  }

  /// With `g = dz · weight`, `dz` the gradient before the activation and `x̂` the normalised input:
  /// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))` (Ioffe and Szegedy 2015).
  func composeBatchNormBackward(_ command: Command, _ norm: BatchNormalization) throws {
    let (x, y, dy) = (command.inputs[0], command.inputs[1], command.inputs[4])
    let (shape, axes) = (x.shape, [0, 2, 3])
    let rstd = command.inputs[3].perChannel(of: shape)
    var dz = dy
    if let activation = norm.activation {
      dz = try temporary(shape, x.dtype)
      try enqueue(.unaryBackward(activation), [y, dy], [dz])
    }
    let normalised = try binary(
      .multiply, try binary(.subtract, x, command.inputs[2].perChannel(of: shape)), rstd)
    let product = try binary(.multiply, dz, normalised)
    let inner = try binary(
      .subtract, try binary(.subtract, dz, try reduce(.mean, dz, axes: axes)),
      try binary(.multiply, normalised, try reduce(.mean, product, axes: axes)))
    var dx = try binary(.multiply, inner, rstd)
    if norm.isAffine {
      dx = try binary(.multiply, dx, command.inputs[5].perChannel(of: shape))
      let channels = [shape[1]]
      try copy(try reduce(.sum, product, axes: axes).viewed(channels), to: command.outputs[1])
      try copy(try reduce(.sum, dz, axes: axes).viewed(channels), to: command.outputs[2])
    }
    try copy(dx, to: command.outputs[0])
    if norm.hasAddend, let out = command.outputs.last { try copy(dz, to: out) }
  }

  func composeBatchNormInference(_ command: Command, _ norm: BatchNormalization) throws {
    let x = command.inputs[0]
    var rest = command.inputs[3...]
    let centered = try binary(.subtract, x, command.inputs[1].perChannel(of: x.shape))
    let rstd = try unary(.rsqrt, try scalar(.add, command.inputs[2], Double(norm.epsilon)))
    let normalised = try binary(.multiply, centered, rstd.perChannel(of: x.shape))
    let affine = norm.isAffine ? [rest.removeFirst(), rest.removeFirst()] : []
    try finish(normalised, affine, rest.first, norm, to: command.outputs[0])
  }

  /// `activation(x · weight + bias + addend)`.
  private func finish(
    _ x: Operand, _ affine: [Operand], _ addend: Operand?, _ norm: BatchNormalization,
    to out: Operand
  ) throws {
    var y = x
    if norm.isAffine {
      y = try binary(.multiply, y, affine[0].perChannel(of: x.shape))
      y = try binary(.add, y, affine[1].perChannel(of: x.shape))
    }
    if norm.hasAddend, let addend { y = try binary(.add, y, addend) }
    if let activation = norm.activation { y = try unary(activation, y) }
    try copy(y, to: out)
  }
}

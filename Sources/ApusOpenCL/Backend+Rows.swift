import ApusDevice

extension OpenCLBackend {
  /// Whether the row kernels take the operand: `float32` with dense columns.
  private func hasDenseRows(_ operand: Operand) -> Bool {
    operand.dtype == .float32 && !operand.shape.isEmpty
      && (operand.layout.strides[operand.shape.count - 1] == 1
        || operand.shape[operand.shape.count - 1] == 1)
  }

  private func isDense(_ operand: Operand) -> Bool {
    operand.dtype == .float32 && operand.layout.isContiguous
  }

  /// The layout of the rows' first elements.
  private func rows(_ operand: Operand) -> Layout {
    operand.layout.selecting(Array(0..<operand.shape.count - 1))
  }

  func softmax(_ command: Command, logarithm: Bool) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard hasDenseRows(x), hasDenseRows(out) else { return try compose(command) }
    guard x.count > 0 else { return }
    var it = try Iteration(rows(out), rows(x))
    _ = try index(max(x.layout.end, out.layout.end))
    let columns = x.shape[x.shape.count - 1]
    let (kernel, size) = rowLaunch(
      .softmax, wide: .softmax_wide, &it, columns: columns)
    let (source, target) = (try buffer(x), try buffer(out))
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(Int32(truncatingIfNeeded: columns))
      $0.value(Int32(logarithm ? 1 : 0))
    }
  }

  func softmaxBackward(_ command: Command, logarithm: Bool) throws {
    let (y, dy, dx) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard hasDenseRows(y), hasDenseRows(dy), hasDenseRows(dx) else { return try compose(command) }
    guard y.count > 0 else { return }
    var it = try Iteration(rows(dx), rows(y), rows(dy))
    _ = try index(max(y.layout.end, dy.layout.end, dx.layout.end))
    let columns = y.shape[y.shape.count - 1]
    let (kernel, size) = rowLaunch(
      .softmax_backward, wide: .softmax_backward_wide, &it, columns: columns)
    let (a, b, c) = (try buffer(y), try buffer(dy), try buffer(dx))
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.value(Int32(truncatingIfNeeded: columns))
      $0.value(Int32(logarithm ? 1 : 0))
    }
  }

  func crossEntropy(_ command: Command, smoothing: Float, ignored: Int32) throws {
    let (logits, targets) = (command.inputs[0], command.inputs[1])
    let weights = command.inputs.count > 2 ? command.inputs[2] : nil
    let (losses, rowWeights) = (command.outputs[0], command.outputs[1])
    let gradient = command.outputs.count > 2 ? command.outputs[2] : nil
    guard hasDenseRows(logits), gradient.map(hasDenseRows) ?? true, weights.map(isDense) ?? true,
      isDense(rowWeights), losses.dtype == .float32, targets.dtype == .int32
    else { return try compose(command) }
    guard losses.count > 0 else { return }
    var it = try Iteration(
      [rows(gradient ?? logits), rows(logits), targets.layout, losses.layout])
    _ = try index(max(logits.layout.end, gradient?.layout.end ?? 0))
    let columns = logits.shape[1]
    let (kernel, size) = rowLaunch(
      .cross_entropy, wide: .cross_entropy_wide, &it, columns: columns)
    let (a, b) = (try buffer(logits), try buffer(targets))
    let (c, d, e) = (try buffer(weights ?? logits), try buffer(losses), try buffer(rowWeights))
    let f = try buffer(gradient ?? losses)
    try runtime.launchChecked(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.buffer(e)
      $0.buffer(f)
      $0.value(Int32(truncatingIfNeeded: columns))
      $0.value(smoothing)
      $0.value(ignored)
      $0.value(Int32(weights == nil ? 0 : 1))
      $0.value(Int32(gradient == nil ? 0 : 1))
      $0.value(Int32(truncatingIfNeeded: weights?.layout.offset ?? 0))
      $0.value(Int32(truncatingIfNeeded: rowWeights.layout.offset))
    }
  }

  func layerNorm(_ command: Command, epsilon: Float) throws {
    let x = command.inputs[0]
    let (y, mean, rstd) = (command.outputs[0], command.outputs[1], command.outputs[2])
    let hasWeight = command.inputs.count > 1
    let (weight, bias) = hasWeight ? (command.inputs[1], command.inputs[2]) : (x, x)
    guard hasDenseRows(x), hasDenseRows(y), isDense(mean), isDense(rstd),
      !hasWeight || (isDense(weight) && isDense(bias))
    else { return try compose(command) }
    guard x.count > 0 else { return try compose(command) }
    var it = try Iteration(rows(y), rows(x))
    _ = try index(max(x.layout.end, y.layout.end))
    let (kernel, size) = rowLaunch(
      .layer_norm, wide: .layer_norm_wide, &it, columns: x.shape[1])
    let (a, b, c) = (try buffer(x), try buffer(weight), try buffer(bias))
    let (d, e, f) = (try buffer(y), try buffer(mean), try buffer(rstd))
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.buffer(e)
      $0.buffer(f)
      $0.value(Int32(truncatingIfNeeded: x.shape[1]))
      $0.value(epsilon)
      $0.value(Int32(hasWeight ? 1 : 0))
      for operand in [weight, bias, mean, rstd] {
        $0.value(Int32(truncatingIfNeeded: operand.layout.offset))
      }
    }
  }

  func layerNormBackward(_ command: Command) throws {
    let (x, mean, rstd, dy) = (
      command.inputs[0], command.inputs[1], command.inputs[2], command.inputs[3]
    )
    let dx = command.outputs[0]
    let weight = command.inputs.count > 4 ? command.inputs[4] : nil
    guard hasDenseRows(x), hasDenseRows(dy), hasDenseRows(dx), isDense(mean), isDense(rstd),
      weight.map(isDense) ?? true, x.count > 0
    else { return try compose(command) }
    var it = try Iteration(rows(dx), rows(x), rows(dy))
    _ = try index(max(x.layout.end, dy.layout.end, dx.layout.end))
    let (rowCount, columns) = (x.shape[0], x.shape[1])
    let (kernel, size) = rowLaunch(
      .layer_norm_backward, wide: .layer_norm_backward_wide, &it, columns: columns)
    let (a, b, c, d) = (try buffer(x), try buffer(mean), try buffer(rstd), try buffer(dy))
    let (e, f) = (try buffer(weight ?? x), try buffer(dx))
    try runtime.launch(kernel, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.buffer(e)
      $0.buffer(f)
      $0.value(Int32(truncatingIfNeeded: columns))
      $0.value(Int32(weight == nil ? 0 : 1))
      $0.value(Int32(truncatingIfNeeded: weight?.layout.offset ?? 0))
      $0.value(Int32(truncatingIfNeeded: mean.layout.offset))
      $0.value(Int32(truncatingIfNeeded: rstd.layout.offset))
    }
    guard command.outputs.count > 1 else { return }
    let parts = columnParts(rowCount)
    let (weights, biases) = (
      try temporary([parts, columns]), try temporary([parts, columns])
    )
    var across = try Iteration(
      Layout(contiguous: [columns]),
      Layout(shape: [columns], strides: [1], offset: x.layout.offset),
      Layout(shape: [columns], strides: [1], offset: dy.layout.offset))
    let columnSize = columnLaunchSize(&across, parts: parts)
    let (g, h) = (try buffer(weights), try buffer(biases))
    try runtime.launch(.layer_norm_parameters, columnSize) {
      $0.value(across)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.buffer(g)
      $0.buffer(h)
      $0.value(Int32(truncatingIfNeeded: rowCount))
      $0.value(Int32(truncatingIfNeeded: (rowCount + parts - 1) / parts))
      $0.value(Int32(truncatingIfNeeded: x.layout.strides[0]))
      $0.value(Int32(truncatingIfNeeded: dy.layout.strides[0]))
      $0.value(Int32(truncatingIfNeeded: mean.layout.offset))
      $0.value(Int32(truncatingIfNeeded: rstd.layout.offset))
    }
    try reduceParts(weights, to: command.outputs[1])
    try reduceParts(biases, to: command.outputs[2])
  }

  func linearActivationBackward(_ command: Command, _ activation: UnaryOp?) throws {
    let (y, dy, dz) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard command.outputs.count > 1, hasDenseRows(y), hasDenseRows(dy), hasDenseRows(dz),
      dz.count > 0
    else { return try compose(command) }
    let (rowCount, columns) = (dz.shape[0], dz.shape[1])
    _ = try index(max(y.layout.end, dy.layout.end, dz.layout.end))
    let parts = columnParts(rowCount)
    let bias = command.outputs[1]
    let isDirect = parts == 1 && isDense(bias)
    let sums = isDirect ? bias : try temporary([parts, columns])
    var it = try Iteration(Layout(contiguous: [columns], offset: sums.layout.offset))
    let size = columnLaunchSize(&it, parts: parts)
    let (a, b, c, d) = (try buffer(y), try buffer(dy), try buffer(dz), try buffer(sums))
    let (code, first, second) = activation?.kernelCode ?? (-1, 0, 0)
    try runtime.launch(.activation_backward, size) {
      $0.value(it)
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.value(code)
      $0.value(first)
      $0.value(second)
      $0.value(Int32(truncatingIfNeeded: rowCount))
      $0.value(Int32(truncatingIfNeeded: (rowCount + parts - 1) / parts))
      for operand in [y, dy, dz] {
        $0.value(Int32(truncatingIfNeeded: operand.layout.offset))
        $0.value(Int32(truncatingIfNeeded: operand.layout.strides[0]))
      }
    }
    if !isDirect { try reduceParts(sums, to: bias) }
  }

  /// In how many parts a sum over that many rows is cut.
  private func columnParts(_ rows: Int) -> Int { rows < 512 ? 1 : min(32, rows / 256) }

  /// `[parts, C] → [C]`.
  private func reduceParts(_ parts: Operand, to out: Operand) throws {
    let row = out.with(
      Layout(
        shape: [1] + out.shape, strides: [0] + out.layout.strides, offset: out.layout.offset))
    try reduce(.sum, axes: [0], parts, row)
  }
}

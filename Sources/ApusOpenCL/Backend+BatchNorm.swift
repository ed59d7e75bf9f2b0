import ApusDevice

/// Images as the kernels of the batch norm see them: rows of channels, evenly spaced.
private struct ChannelRows {
  var operand: Operand
  var offset: Int32
  var step: Int32

  init(_ operand: Operand) throws {
    self.operand = operand
    _ = try index(operand.layout.end)
    offset = try index(operand.layout.offset)
    step = try index(operand.layout.pixelPitch ?? operand.shape[1])
  }
}

extension OpenCLBackend {
  private func channelRows(_ x: Operand) throws -> ChannelRows {
    try require(.float32, x, "batchNorm")
    return try ChannelRows(try pixelsDense(x))
  }

  /// What kernels write as rows: the output itself, or what then is copied to it.
  private func rowsTarget(_ out: Operand) throws -> ChannelRows {
    try require(.float32, out, "batchNorm")
    return try ChannelRows(out.layout.pixelPitch == nil ? try featureMap(out.shape) : out)
  }

  private func finish(_ target: ChannelRows, _ out: Operand) throws {
    if target.operand.storage !== out.storage { try copy(target.operand, to: out) }
  }

  /// In how many rows a part is cut: it stays in the second-level cache, and there are enough parts
  /// for all units.
  private func segment(rows: Int, channels: Int) -> Int {
    let units = max(description.computeUnits, 1)
    let columns = runtime.isGPU ? channels : (channels + 15) / 16
    let wanted = runtime.isGPU ? 2048 * units : 8 * units
    let parts = max(1, min(rows, (wanted + columns - 1) / columns))
    let cached = max(16, (96 << 10) / max(channels, 1))
    return max(1, min((rows + parts - 1) / parts, cached))
  }

  private func channelLaunchSize(_ channels: Int, parts: Int = 1) -> LaunchSize {
    runtime.isGPU
      ? LaunchSize(channels, parts, local: (64, 1)) : LaunchSize((channels + 15) / 16, parts)
  }

  private func rowsLaunchSize(_ rows: Int, _ channels: Int) -> (LaunchSize, chunk: Int32) {
    if runtime.isGPU { return (LaunchSize(min(rows * channels, 1 << 20), local: 256), 1) }
    let share = rows / (description.computeUnits * 4) + 1
    let chunk = min(max(share, 8192 / max(channels, 1) + 1), max(rows, 1))
    return (LaunchSize((rows + chunk - 1) / chunk), Int32(truncatingIfNeeded: chunk))
  }

  func batchNorm(_ command: Command, _ norm: BatchNormalization) throws {
    let out = command.outputs[0]
    guard out.count > 0, norm.activation?.resultIsBool != true else { return try compose(command) }
    let x = try channelRows(command.inputs[0])
    var rest = command.inputs[1...]
    let affine =
      norm.isAffine ? (try dense(rest.removeFirst()), try dense(rest.removeFirst())) : nil
    let running =
      norm.tracksStatistics ? (try dense(rest.removeFirst()), try dense(rest.removeFirst())) : nil
    let addend = norm.hasAddend ? try rest.first.map { try channelRows($0) } : nil
    guard command.outputs[1...].allSatisfy({ $0.layout.isContiguous }) else {
      return try compose(command)
    }
    let channels = out.shape[1]
    let rows = out.count / channels
    let length = segment(rows: rows, channels: channels)
    let parts = (rows + length - 1) / length
    let partial = try temporary([2, parts, channels])
    let coefficients = try temporary([3, channels])
    let (rowCount, channelCount) = (try index(rows), try index(channels))
    let segment = try index(length)

    let (source, sums) = (try buffer(x.operand), try buffer(partial))
    try runtime.launch(.batch_norm_parts, channelLaunchSize(channels, parts: parts)) {
      $0.buffer(source)
      $0.buffer(sums)
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(x.offset)
      $0.value(x.step)
      $0.value(segment)
    }

    let (mean, rstd) = (command.outputs[1], command.outputs[2])
    let updated = norm.tracksStatistics ? (command.outputs[3], command.outputs[4]) : (mean, rstd)
    let operands = [
      mean, rstd, affine?.0 ?? mean, affine?.1 ?? mean, running?.0 ?? mean, running?.1 ?? mean,
      updated.0, updated.1,
    ]
    var offsets = InlineArray<8, Int32>(repeating: 0)
    for (i, operand) in operands.enumerated() { offsets[i] = try index(operand.layout.offset) }
    let places = offsets
    let buffers = try operands.map { try buffer($0) }
    let factors = try buffer(coefficients)
    try runtime.launch(.batch_norm_statistics, channelLaunchSize(channels)) {
      $0.buffer(sums)
      for position in [2, 3, 4, 5, 0, 1, 6, 7] { $0.buffer(buffers[position]) }
      $0.buffer(factors)
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(segment)
      $0.value(Int32(truncatingIfNeeded: parts))
      $0.value(norm.epsilon)
      $0.value(norm.momentum)
      $0.value(Int32(norm.isAffine ? 1 : 0))
      $0.value(Int32(norm.tracksStatistics ? 1 : 0))
      $0.value(places)
    }
    try applyNorm(x, coefficients, addend, norm.activation, to: out)
  }

  func batchNormInference(_ command: Command, _ norm: BatchNormalization) throws {
    let out = command.outputs[0]
    guard out.count > 0, norm.activation?.resultIsBool != true else { return try compose(command) }
    let x = try channelRows(command.inputs[0])
    let (mean, variance) = (try dense(command.inputs[1]), try dense(command.inputs[2]))
    var rest = command.inputs[3...]
    let affine =
      norm.isAffine ? (try dense(rest.removeFirst()), try dense(rest.removeFirst())) : nil
    let addend = norm.hasAddend ? try rest.first.map { try channelRows($0) } : nil
    let channels = out.shape[1]
    let coefficients = try temporary([3, channels])
    let operands = [mean, variance, affine?.0 ?? mean, affine?.1 ?? mean]
    var offsets = InlineArray<4, Int32>(repeating: 0)
    for (i, operand) in operands.enumerated() { offsets[i] = try index(operand.layout.offset) }
    let places = offsets
    let buffers = try operands.map { try buffer($0) }
    let factors = try buffer(coefficients)
    let channelCount = try index(channels)
    try runtime.launch(.batch_norm_given, channelLaunchSize(channels)) {
      for buffer in buffers { $0.buffer(buffer) }
      $0.buffer(factors)
      $0.value(channelCount)
      $0.value(norm.epsilon)
      $0.value(Int32(norm.isAffine ? 1 : 0))
      $0.value(places)
    }
    try applyNorm(x, coefficients, addend, norm.activation, to: out)
  }

  private func applyNorm(
    _ x: ChannelRows, _ coefficients: Operand, _ addend: ChannelRows?, _ activation: UnaryOp?,
    to out: Operand
  ) throws {
    let target = try rowsTarget(out)
    let channels = out.shape[1]
    let rows = out.count / channels
    let (size, chunk) = rowsLaunchSize(rows, channels)
    let (rowCount, channelCount) = (try index(rows), try index(channels))
    let (code, first, second) = activation?.kernelCode ?? (-1, 0, 0)
    let (a, b) = (try buffer(x.operand), try buffer(coefficients))
    let (c, d) = (try buffer(addend?.operand ?? x.operand), try buffer(target.operand))
    try runtime.launch(.batch_norm_apply, size) {
      $0.buffer(a)
      $0.buffer(b)
      $0.buffer(c)
      $0.buffer(d)
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(chunk)
      for rows in [x, addend ?? x, target] {
        $0.value(rows.offset)
        $0.value(rows.step)
      }
      $0.value(Int32(addend == nil ? 0 : 1))
      $0.value(code)
      $0.value(first)
      $0.value(second)
    }
    try finish(target, out)
  }

  func batchNormBackward(_ command: Command, _ norm: BatchNormalization) throws {
    let dx = command.outputs[0]
    guard dx.count > 0, norm.activation.map({ $0.saved != .input }) ?? true else {
      return try compose(command)
    }
    let (x, y) = (try channelRows(command.inputs[0]), try channelRows(command.inputs[1]))
    let (mean, rstd) = (try dense(command.inputs[2]), try dense(command.inputs[3]))
    let dy = try channelRows(command.inputs[4])
    let weight = norm.isAffine ? try dense(command.inputs[5]) : mean
    let gradients =
      norm.isAffine ? (command.outputs[1], command.outputs[2]) : (dx, dx)
    guard !norm.isAffine || (gradients.0.layout.isContiguous && gradients.1.layout.isContiguous)
    else { return try compose(command) }
    let channels = dx.shape[1]
    let rows = dx.count / channels
    let length = segment(rows: rows, channels: channels)
    let parts = (rows + length - 1) / length
    let partial = try temporary([2, parts, channels])
    let coefficients = try temporary([4, channels])
    let (rowCount, channelCount) = (try index(rows), try index(channels))
    let segment = try index(length)
    let (meanOffset, rstdOffset) = (try index(mean.layout.offset), try index(rstd.layout.offset))
    let (code, first, second) = norm.activation?.kernelCode ?? (-1, 0, 0)
    let (a, b, c) = (try buffer(x.operand), try buffer(y.operand), try buffer(mean))
    let (d, e, f) = (try buffer(rstd), try buffer(dy.operand), try buffer(partial))
    try runtime.launch(.batch_norm_gradient_parts, channelLaunchSize(channels, parts: parts)) {
      for buffer in [a, b, c, d, e, f] { $0.buffer(buffer) }
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(segment)
      for rows in [x, y, dy] {
        $0.value(rows.offset)
        $0.value(rows.step)
      }
      $0.value(meanOffset)
      $0.value(rstdOffset)
      $0.value(code)
      $0.value(first)
      $0.value(second)
    }

    let (g, h, i) = (
      try buffer(weight), try buffer(gradients.0), try buffer(gradients.1)
    )
    let factors = try buffer(coefficients)
    let places = try [weight, mean, rstd, gradients.0, gradients.1].map {
      try index($0.layout.offset)
    }
    try runtime.launch(.batch_norm_gradient_sums, channelLaunchSize(channels)) {
      for buffer in [f, g, c, d, h, i, factors] { $0.buffer(buffer) }
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(Int32(truncatingIfNeeded: parts))
      $0.value(Int32(norm.isAffine ? 1 : 0))
      for place in places { $0.value(place) }
    }

    let target = try rowsTarget(dx)
    let out = norm.hasAddend ? command.outputs.last : nil
    let addend = try out.map { try rowsTarget($0) }
    let (size, chunk) = rowsLaunchSize(rows, channels)
    let (j, k) = (try buffer(target.operand), try buffer((addend ?? target).operand))
    try runtime.launch(.batch_norm_gradient_apply, size) {
      for buffer in [a, b, e, factors, j, k] { $0.buffer(buffer) }
      $0.value(rowCount)
      $0.value(channelCount)
      $0.value(chunk)
      for rows in [x, y, dy, target, addend ?? target] {
        $0.value(rows.offset)
        $0.value(rows.step)
      }
      $0.value(Int32(addend == nil ? 0 : 1))
      $0.value(code)
      $0.value(first)
      $0.value(second)
    }
    try finish(target, dx)
    if let addend, let out { try finish(addend, out) }
  }
}

import ApusDevice

extension Tensor {
  /// Each channel brought to mean 0 and variance 1 over all axes but 1, then scaled and shifted
  /// (Ioffe, Szegedy 2015): `activation(x̂ · weight + bias + addend)` in one pass.
  ///
  /// In training the statistics are the batch's (with the biased variance), and the running ones move
  /// towards them by `momentum` (with the unbiased variance); in evaluation they are the running ones.
  /// While gradients are recorded only activations whose derivative needs the output alone are
  /// fused; others run after it.
  /// - Parameters:
  ///   - weight: `[C]`, as bias and running statistics.
  ///   - runningMean: Given together with `runningVariance`; needed in evaluation.
  ///   - addend: Of this tensor's shape: the shortcut of a residual block.
  /// - Returns: A tensor of the shape of this one, `[N, C]`, `[N, C, L]` or `[N, C, H, W]`.
  /// - Throws: ``ApusError`` for shapes that do not fit, and in training for one value per channel.
  public func batchNorm(
    weight: Tensor? = nil, bias: Tensor? = nil, runningMean: Parameter? = nil,
    runningVariance: Parameter? = nil, isTraining: Bool, momentum: Float = 0.1,
    epsilon: Float = 1e-5, activation: UnaryOp? = nil, addend: Tensor? = nil
  ) throws -> Tensor {
    let running = try checkBatchNorm(
      [weight, bias], runningMean, runningVariance, isTraining, momentum, epsilon, addend)
    // Nothing to normalise, and no statistics in it.
    if count == 0 { return self }
    let images = rank == 4 ? shape : [shape[0], shape[1], 1, rank == 3 ? shape[2] : 1]
    let x = try reshaped(images)
    let extra = try addend?.reshaped(images)
    let shift = try bias ?? weight.map { try Tensor.zeros(like: $0) }
    let gain = try weight ?? shift.map { try Tensor.ones(like: $0) }
    let inputs = [x] + [gain, shift, extra].compactMap { $0 }
    let tape = try Tape.watching(inputs)
    let fused = tape == nil || activation?.saved == .output ? activation : nil
    let norm = BatchNormalization(
      epsilon: epsilon, momentum: momentum, isAffine: gain != nil,
      tracksStatistics: isTraining && running != nil, hasAddend: extra != nil, activation: fused)
    _ = try Tensor.commonDevice(inputs, .batchNorm(norm))
    var y: Tensor
    if isTraining {
      y = try x.trained(norm, inputs, running, tape)
    } else if let running {
      y = try x.inferred(norm, inputs, running.map(\.value), tape)
    } else {
      return self
    }
    if fused == nil, let activation { y = try y.unary(activation) }
    return try y.reshaped(shape)
  }

  private func trained(
    _ norm: BatchNormalization, _ inputs: [Tensor], _ running: [Parameter]?, _ tape: Tape?
  ) throws -> Tensor {
    let channels = [shape[1]]
    let y = try Tensor.featureMap(shape, dtype, on: device)
    let mean = try Tensor.allocated(channels, dtype, on: device)
    let rstd = try Tensor.allocated(channels, dtype, on: device)
    var operands = inputs.map(\.operand)
    var outputs = [y, mean, rstd].map(\.operand)
    if let running {
      let updates = try running.map { try $0.prepareUpdate() }
      operands.insert(contentsOf: updates.map(\.current), at: norm.isAffine ? 3 : 1)
      outputs += updates.map(\.next)
    }
    try device.backend.enqueue(Command(.batchNorm(norm), inputs: operands, outputs: outputs))
    if let running {
      for (parameter, next) in zip(running, outputs.suffix(2)) { parameter.commit(next) }
    }
    guard let tape else { return y }
    let (x, gain) = (detached, norm.isAffine ? inputs[1].detached : nil)
    // Without an activation the output is not read; any tensor of its shape stands in for it.
    let saved = norm.activation == nil ? x : y
    return try tape.record(y, from: inputs) { dy in
      let dx = try Tensor.featureMap(x.shape, x.dtype, on: x.device)
      var results = [dx]
      if norm.isAffine {
        for _ in 0..<2 { results.append(try Tensor.allocated(channels, x.dtype, on: x.device)) }
      }
      if norm.hasAddend {
        results.append(try Tensor.featureMap(x.shape, x.dtype, on: x.device))
      }
      let read = [x, saved, mean, rstd, dy] + (gain.map { [$0] } ?? [])
      try x.device.backend.enqueue(
        Command(
          .batchNormBackward(norm), inputs: read.map(\.operand), outputs: results.map(\.operand)))
      return results
    }
  }

  /// With given statistics, which are constants for the gradient.
  private func inferred(
    _ norm: BatchNormalization, _ inputs: [Tensor], _ statistics: [Tensor], _ tape: Tape?
  ) throws -> Tensor {
    let y = try Tensor.featureMap(shape, dtype, on: device)
    let operands = ([self] + statistics + inputs.dropFirst()).map(\.operand)
    try device.backend.enqueue(
      Command(.batchNormInference(norm), inputs: operands, outputs: [y.operand]))
    guard let tape else { return y }
    let (x, gain) = (detached, norm.isAffine ? inputs[1].detached : nil)
    let saved = norm.activation == nil ? nil : y
    let wants = inputs.map(\.isWatched)
    let perChannel = [shape[1], 1, 1]
    return try tape.record(y, from: inputs) { dy in
      var dz = dy
      if let activation = norm.activation, let saved {
        dz = try Tensor.elementwise(.unaryBackward(activation), [saved, dy], dtype: dy.dtype)
      }
      let rstd = try (statistics[1] + Double(norm.epsilon)).rsqrt()
      let scale = try gain.map { try $0 * rstd } ?? rstd
      var results: [Tensor?] = [wants[0] ? try dz * scale.reshaped(perChannel) : nil]
      if norm.isAffine {
        let centered = try x - statistics[0].reshaped(perChannel)
        results.append(wants[1] ? try (dz * centered).sum(axes: [0, 2, 3]) * rstd : nil)
        results.append(wants[2] ? try dz.sum(axes: [0, 2, 3]) : nil)
      }
      if norm.hasAddend { results.append(dz) }
      return results
    }
  }

  /// - Returns: The running statistics, if there are any.
  private func checkBatchNorm(
    _ affine: [Tensor?], _ mean: Parameter?, _ variance: Parameter?, _ isTraining: Bool,
    _ momentum: Float, _ epsilon: Float, _ addend: Tensor?
  ) throws -> [Parameter]? {
    let name = "batchNorm"
    guard (2...4).contains(rank), shape[1] > 0 else {
      throw ApusError(
        .shape, operation: name,
        "takes [N, C], [N, C, L] or [N, C, H, W] with channels, not shape \(shape)")
    }
    let channels = [shape[1]]
    for parameter in affine.compactMap({ $0 }) where parameter.shape != channels {
      throw ApusError(
        .shape, operation: name,
        "weight and bias must have shape \(channels) for input \(shape), not \(parameter.shape)")
    }
    if let addend, addend.shape != shape {
      throw ApusError(
        .shape, operation: name,
        "the addend \(addend.shape) does not have the shape of the input, \(shape)")
    }
    try ShapeRule.floats([self] + (affine + [addend]).compactMap { $0 }, name)
    guard epsilon >= 0, epsilon.isFinite, momentum.isFinite else {
      throw ApusError(
        .value, operation: name,
        "epsilon \(epsilon) must not be negative and momentum \(momentum) must be finite")
    }
    let running = [mean, variance].compactMap { $0 }
    for parameter in running
    where parameter.shape != channels || parameter.dtype != dtype || parameter.device !== device {
      throw ApusError(
        .shape, operation: name,
        "the running statistics must be \(dtype)\(channels) on '\(device)' for input \(shape), not "
          + "\(parameter.dtype)\(parameter.shape) on '\(parameter.device)'")
    }
    guard running.count != 1, isTraining || running.count == 2 else {
      throw ApusError(
        .value, operation: name,
        "running mean and variance come together, and evaluation needs both")
    }
    if isTraining, count == shape[1] {
      throw ApusError(
        .shape, operation: name,
        "shape \(shape) has one value per channel, which has no variance; train on larger batches")
    }
    return running.isEmpty ? nil : running
  }
}

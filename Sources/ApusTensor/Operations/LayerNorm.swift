import ApusDevice

extension Tensor {
  /// Each row over the last axes brought to mean 0 and variance 1, then scaled and shifted (Ba,
  /// Kiros, Hinton 2016); the variance is the biased one.
  ///
  /// - Parameters:
  ///   - normalizedShape: The last extents of this tensor.
  ///   - weight: Of `normalizedShape`; given together with `bias` or not at all.
  public func layerNorm(
    _ normalizedShape: [Int], weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Float = 1e-5
  ) throws -> Tensor {
    guard dtype == .float32 || dtype == .float64,
      Array(shape.suffix(normalizedShape.count)) == normalizedShape,
      !normalizedShape.isEmpty
    else {
      throw ApusError(
        .shape, operation: "layerNorm",
        "input \(dtype)\(shape) must be float32 and end with \(normalizedShape)")
    }
    for parameter in [weight, bias].compactMap({ $0 })
    where parameter.shape != normalizedShape || parameter.dtype != dtype {
      throw ApusError(
        .shape, operation: "layerNorm",
        "weight and bias must be \(dtype)\(normalizedShape), not \(parameter.dtype)\(parameter.shape)"
      )
    }
    let columns = normalizedShape.reduce(1, *)
    let x = try reshaped([columns == 0 ? 0 : count / columns, columns])
    let scale = try weight?.reshaped([columns])
    // The operation takes both or none.
    let shift = try bias?.reshaped([columns]) ?? scale.map { try Tensor.zeros(like: $0) }
    let gain = try scale ?? shift.map { try Tensor.ones(like: $0) }
    return try x.rowNorm(gain, shift, epsilon).reshaped(shape)
  }

  private func rowNorm(_ weight: Tensor?, _ bias: Tensor?, _ epsilon: Float) throws -> Tensor {
    let parameters = [weight, bias].compactMap { $0 }
    let inputs = [self] + parameters
    _ = try Tensor.commonDevice(inputs, .layerNorm(epsilon: epsilon))
    let y = try Tensor.allocated(shape, dtype, on: device)
    let mean = try Tensor.allocated([shape[0]], dtype, on: device)
    let rstd = try Tensor.allocated([shape[0]], dtype, on: device)
    try device.backend.enqueue(
      Command(
        .layerNorm(epsilon: epsilon), inputs: inputs.map(\.operand),
        outputs: [y.operand, mean.operand, rstd.operand]))
    guard let tape = try Tape.watching(inputs) else { return y }
    let (x, gain) = (detached, weight?.detached)
    return try tape.record(y, from: inputs) { dy in
      let dx = try Tensor.allocated(x.shape, x.dtype, on: x.device)
      var results = [dx]
      if let gain {
        results.append(try Tensor.allocated(gain.shape, x.dtype, on: x.device))
        results.append(try Tensor.allocated(gain.shape, x.dtype, on: x.device))
      }
      let saved = [x, mean, rstd, dy] + (gain.map { [$0] } ?? [])
      try x.device.backend.enqueue(
        Command(
          .layerNormBackward, inputs: saved.map(\.operand), outputs: results.map(\.operand)))
      return results
    }
  }
}

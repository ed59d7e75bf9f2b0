import ApusDevice

extension Tensor {
  /// Elements become 0 with `probability`, the others are scaled by `1 / (1 − probability)`
  /// (Srivastava et al. 2014). The same key gives the same pattern on every device.
  public func dropout(probability: Float, key: RandomKey) throws -> Tensor {
    guard probability >= 0, probability <= 1 else {
      throw ApusError(
        .value, operation: "dropout", "probability \(probability) is not within 0...1")
    }
    guard dtype == .float32 else {
      throw ApusError(
        .dtype, operation: "dropout", "takes float32, not \(dtype); cast with `to(.float32)`")
    }
    if probability == 0 { return self }
    let operation = Operation.dropout(probability: probability, key: key)
    let y = try Tensor.run(operation, detached, shape: shape, dtype: dtype)
    guard let tape = try Tape.watching(self) else { return y }
    return try tape.record(y, from: [self]) { dy in
      [try Tensor.run(operation, dy, shape: dy.shape, dtype: dy.dtype)]
    }
  }

  /// Whole channels become 0 with `probability`, the others are scaled by `1 / (1 − probability)`
  /// (Tompson et al. 2015): neighbouring pixels are too much alike for single ones to be missed.
  /// - Returns: `[N, C, H, W]` as this tensor, each of the `N · C` channels kept or dropped.
  public func dropout2d(probability: Float, key: RandomKey) throws -> Tensor {
    guard probability >= 0, probability <= 1 else {
      throw ApusError(
        .value, operation: "dropout2d", "probability \(probability) is not within 0...1")
    }
    guard dtype == .float32, rank == 4 else {
      throw ApusError(
        .shape, operation: "dropout2d", "takes float32 [N, C, H, W], not \(dtype)\(shape)")
    }
    if probability == 0 { return self }
    let channels = [shape[0], shape[1], 1, 1]
    return try self * Tensor.ones(channels, on: device).dropout(probability: probability, key: key)
  }
}

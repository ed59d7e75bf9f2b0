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
}

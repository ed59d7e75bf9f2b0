import ApusDevice

extension Tensor {
  /// The sum of all squares of several tensors as one scalar, in one operation: the square of their
  /// global norm. Not recorded.
  public static func sumOfSquares(_ tensors: [Tensor]) throws -> Tensor {
    guard !tensors.isEmpty else {
      throw ApusError(.value, operation: "sumOfSquares", "there are no tensors")
    }
    for x in tensors where x.dtype != .float32 {
      throw ApusError(.dtype, operation: "sumOfSquares", "takes float32, not \(x.dtype)")
    }
    return try run(.sumOfSquares, tensors, shape: [], dtype: .float32)
  }
}

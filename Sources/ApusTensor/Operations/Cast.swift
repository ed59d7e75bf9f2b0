import ApusDevice

extension Tensor {
  /// The elements in another type; the tensor itself where it has that type already.
  ///
  /// Float to integer truncates toward zero and saturates, NaN becomes 0; to `bool` is `x != 0`;
  /// to a shorter float rounds to nearest even. Gradients flow between floating-point types.
  public func to(_ dtype: DType) throws -> Tensor {
    if dtype == self.dtype { return self }
    let out = try Tensor.elementwise(.copy, self, dtype: dtype)
    guard dtype.isFloatingPoint, let tape = try Tape.watching(self) else { return out }
    let original = self.dtype
    return try tape.record(out, from: [self]) { [try $0.to(original)] }
  }

  /// The type both operands of an arithmetic operation are brought to: the wider float if there is
  /// one, else `int32`.
  static func promoted(_ a: DType, _ b: DType, _ operation: String) throws -> DType {
    if a == b && (a == .float32 || a == .int32 || a == .float64) { return a }
    for dtype in [a, b] where dtype == .float16 || dtype == .bfloat16 {
      throw ApusError(
        .dtype, operation: operation,
        "\(dtype) is a storage format without arithmetic; cast with `to(.float32)` first")
    }
    if a == .float64 || b == .float64 { return .float64 }
    if a == .float32 || b == .float32 { return .float32 }
    return .int32
  }
}

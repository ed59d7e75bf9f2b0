import ApusDevice

infix operator .== : ComparisonPrecedence
infix operator .!= : ComparisonPrecedence
infix operator .< : ComparisonPrecedence
infix operator .<= : ComparisonPrecedence
infix operator .> : ComparisonPrecedence
infix operator .>= : ComparisonPrecedence

extension Tensor {
  /// An element-wise comparison of two tensors that broadcast; the result is `bool`.
  public func compare(_ op: ComparisonOp, _ other: Tensor) throws -> Tensor {
    var (a, b) = (self, other)
    if a.dtype != b.dtype {
      let dtype = try Tensor.promoted(a.dtype, b.dtype, "\(op)")
      (a, b) = (try a.to(dtype), try b.to(dtype))
    } else if a.dtype == .float16 || a.dtype == .bfloat16 {
      (a, b) = (try a.to(.float32), try b.to(.float32))
    }
    let shape = try ShapeRule.broadcast(a.shape, b.shape, "\(op)")
    return try Tensor.elementwise(
      .compare(op),
      [
        a.viewed(a.operand.layout.broadcast(to: shape)),
        b.viewed(b.operand.layout.broadcast(to: shape)),
      ], dtype: .bool)
  }

  /// A comparison with a number; integers are compared as `float32` where the number is none.
  public func compare(_ op: ComparisonOp, _ value: Double) throws -> Tensor {
    let isWhole = Int32(exactly: value) != nil
    let dtype: DType =
      self.dtype == .int32 && isWhole ? .int32 : self.dtype == .float64 ? .float64 : .float32
    return try to(dtype).compare(op, Tensor.full([], value, dtype: dtype, on: device))
  }

  public static func .== (a: Tensor, b: Tensor) throws -> Tensor { try a.compare(.equal, b) }
  public static func .!= (a: Tensor, b: Tensor) throws -> Tensor { try a.compare(.notEqual, b) }
  public static func .< (a: Tensor, b: Tensor) throws -> Tensor { try a.compare(.less, b) }
  public static func .<= (a: Tensor, b: Tensor) throws -> Tensor { try a.compare(.lessOrEqual, b) }
  public static func .> (a: Tensor, b: Tensor) throws -> Tensor { try a.compare(.greater, b) }
  public static func .>= (a: Tensor, b: Tensor) throws -> Tensor {
    try a.compare(.greaterOrEqual, b)
  }
  public static func .== (a: Tensor, b: Double) throws -> Tensor { try a.compare(.equal, b) }
  public static func .!= (a: Tensor, b: Double) throws -> Tensor { try a.compare(.notEqual, b) }
  public static func .< (a: Tensor, b: Double) throws -> Tensor { try a.compare(.less, b) }
  public static func .<= (a: Tensor, b: Double) throws -> Tensor { try a.compare(.lessOrEqual, b) }
  public static func .> (a: Tensor, b: Double) throws -> Tensor { try a.compare(.greater, b) }
  public static func .>= (a: Tensor, b: Double) throws -> Tensor {
    try a.compare(.greaterOrEqual, b)
  }
}

/// The element type of a tensor.
///
/// Arithmetic is done in `float32` (every device) and `float64` (the reference device, others where
/// cheap); `int32` holds indices and supports exact arithmetic; `bool` is one byte, 0 or 1;
/// `float16` and `bfloat16` are storage formats that only copy and cast.
public enum DType: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
  case float32, float64, float16, bfloat16, int32, uint8, bool

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    case .uint8, .bool: 1
    }
  }

  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float64, .float16, .bfloat16: true
    case .int32, .uint8, .bool: false
    }
  }

  public var description: String {
    switch self {
    case .float32: "float32"
    case .float64: "float64"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .int32: "int32"
    case .uint8: "uint8"
    case .bool: "bool"
    }
  }
}

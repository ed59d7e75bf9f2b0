import ApusDevice

/// A dense array on the host: what readers give and writers take.
///
/// Elements are row-major and little-endian; `bytes.count` is the product of `shape` times the
/// element's width.
public struct HostArray: Sendable, Hashable {
  public let shape: [Int]
  public let dtype: DType
  public let bytes: [UInt8]

  /// Takes bytes as they are. Throws when their number is not what `shape` and `dtype` need.
  public init(shape: [Int], dtype: DType, bytes: [UInt8]) throws {
    let needed = try HostArray.byteCount(of: shape, dtype, operation: "HostArray")
    guard needed == bytes.count else {
      throw ApusError(
        .shape, operation: "HostArray",
        "shape \(shape) of \(dtype) needs \(needed) bytes, \(bytes.count) were given")
    }
    self.shape = shape
    self.dtype = dtype
    self.bytes = bytes
  }

  /// `float32`; `values` in row-major order.
  public init(_ values: [Float], shape: [Int]) throws {
    try self.init(shape: shape, dtype: .float32, bytes: HostArray.bytes(of: values))
  }

  /// `int32`; `values` in row-major order.
  public init(_ values: [Int32], shape: [Int]) throws {
    try self.init(shape: shape, dtype: .int32, bytes: HostArray.bytes(of: values))
  }

  /// `uint8`; `values` in row-major order.
  public init(_ values: [UInt8], shape: [Int]) throws {
    try self.init(shape: shape, dtype: .uint8, bytes: values)
  }

  /// The number of elements.
  public var count: Int { bytes.count / dtype.byteCount }

  /// The same elements under another shape. Throws when the counts differ.
  public func reshaped(_ shape: [Int]) throws -> HostArray {
    try HostArray(shape: shape, dtype: dtype, bytes: bytes)
  }

  /// The number of elements of `shape`, or nil when it is negative somewhere or overflows.
  static func elementCount(of shape: [Int]) -> Int? {
    var count = 1
    var isEmpty = false
    for extent in shape {
      guard extent >= 0 else { return nil }
      if extent == 0 {
        isEmpty = true
        continue
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      count = product
    }
    return isEmpty ? 0 : count
  }

  static func byteCount(of shape: [Int], _ dtype: DType, operation: String) throws -> Int {
    if let count = elementCount(of: shape) {
      let (bytes, overflow) = count.multipliedReportingOverflow(by: dtype.byteCount)
      if !overflow { return bytes }
    }
    throw ApusError(
      .shape, operation: operation,
      "\(shape) is not a shape: extents must not be negative and their product must fit in memory")
  }

  private static func bytes<Number: Numeric>(of values: [Number]) -> [UInt8] {
    #if _endian(little)
      values.withUnsafeBytes { Array($0) }
    #else
      ByteOrder.reversed(
        values.withUnsafeBytes { Array($0) }[...], width: MemoryLayout<Number>.size)
    #endif
  }
}

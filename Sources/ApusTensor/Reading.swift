import ApusDevice

extension Tensor {
  /// The elements in row-major order. Waits for the device.
  /// - Throws: ``ApusError`` where `T` is not the element type (cast with `to` first), or for a
  ///   failure of earlier work on the device.
  public func scalars<T: TensorScalar>(as type: T.Type = Float.self) throws -> [T] {
    guard dtype == T.dtype else {
      throw ApusError(
        .dtype, operation: "scalars",
        "the tensor is \(dtype), not \(T.dtype); cast it with `to(.\(T.dtype))` first")
    }
    let source = try detached.contiguous().operand
    let count = source.count
    guard count > 0 else { return [] }
    return try [T](unsafeUninitializedCapacity: count) { buffer, initialized in
      try device.backend.download(
        source.storage, byteOffset: source.layout.offset * dtype.byteCount,
        into: UnsafeMutableRawBufferPointer(
          start: buffer.baseAddress, count: count * dtype.byteCount))
      initialized = count
    }
  }

  /// The raw row-major bytes. Waits for the device.
  public func bytes() throws -> [UInt8] {
    let source = try detached.contiguous().operand
    let size = source.count * dtype.byteCount
    guard size > 0 else { return [] }
    return try [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
      try device.backend.download(
        source.storage, byteOffset: source.layout.offset * dtype.byteCount,
        into: UnsafeMutableRawBufferPointer(buffer))
      initialized = size
    }
  }

  /// The only element as a number. Waits for the device.
  /// - Throws: ``ApusError`` where there is not exactly one.
  public func item() throws -> Double {
    guard count == 1 else {
      throw ApusError(
        .shape, operation: "item",
        "a tensor of shape \(shape) has \(count) elements; only one element can be read this way")
    }
    switch dtype {
    case .float64: return try scalars(as: Double.self)[0]
    case .float32: return Double(try scalars(as: Float.self)[0])
    case .int32: return Double(try scalars(as: Int32.self)[0])
    case .uint8: return Double(try scalars(as: UInt8.self)[0])
    case .bool: return try scalars(as: Bool.self)[0] ? 1 : 0
    case .float16, .bfloat16: return try detached.to(.float32).item()
    }
  }

  /// The same elements on another device. Not recorded: gradients do not cross devices.
  public func to(_ other: Device) throws -> Tensor {
    if other === device { return self }
    return try bytes().withUnsafeBytes {
      try Tensor(bytes: $0, shape: shape, dtype: dtype, on: other)
    }
  }

  /// The same elements in row-major order without gaps; a copy only where needed.
  public func contiguous() throws -> Tensor {
    if isContiguous { return self }
    let out = try Tensor.run(.copy, detached, shape: shape, dtype: dtype)
    guard let tape = try Tape.watching(self) else { return out }
    return try tape.record(out, from: [self]) { [$0] }
  }
}

import ApusDevice

// Element-wise operations keep the order in which their operands lie in memory, so that feature maps
// with channels last stay so from one convolution to the next, and the walk stays contiguous.

extension Tensor {
  /// An empty `[N, C, H, W]` in the memory order that the device's convolutions prefer.
  static func featureMap(_ shape: [Int], _ dtype: DType, on device: Device) throws -> Tensor {
    Tensor(try device.backend.featureMap(shape, dtype), on: device)
  }

  /// Runs an element-wise operation with one operand.
  @inline(__always)
  static func elementwise(_ operation: Operation, _ x: Tensor, dtype: DType) throws -> Tensor {
    guard let order = x.operand.layout.permutedOrder else {
      return try run(operation, x, shape: x.shape, dtype: dtype)
    }
    return try elementwise(operation, [x.operand], order, dtype, on: x.device)
  }

  /// Runs an element-wise operation with two operands of one shape and device.
  @inline(__always)
  static func elementwise(
    _ operation: Operation, _ a: Operand, _ b: Operand, dtype: DType, on device: Device
  ) throws -> Tensor {
    if !a.layout.isContiguous || !b.layout.isContiguous,
      let order = Layout.permutedOrder([a.layout, b.layout])
    {
      return try elementwise(operation, [a, b], order, dtype, on: device)
    }
    let out = try device.backend.temporary(a.layout.shape, dtype)
    try device.backend.enqueue(Command(operation, inputs: [a, b], outputs: [out]))
    return Tensor(out, on: device)
  }

  /// Runs an element-wise operation with operands of one shape.
  static func elementwise(_ operation: Operation, _ inputs: [Tensor], dtype: DType) throws -> Tensor
  {
    let device = try commonDevice(inputs, operation)
    guard let order = Layout.permutedOrder(inputs.map(\.operand.layout)) else {
      return try run(operation, inputs, shape: inputs[0].shape, dtype: dtype)
    }
    return try elementwise(operation, inputs.map(\.operand), order, dtype, on: device)
  }

  /// The device sees the axes from the outermost to the innermost in memory.
  private static func elementwise(
    _ operation: Operation, _ operands: [Operand], _ order: [Int], _ dtype: DType,
    on device: Device
  ) throws -> Tensor {
    let inputs = operands.map { $0.with($0.layout.permuted(order)) }
    let out = try device.backend.temporary(inputs[0].shape, dtype)
    try device.backend.enqueue(Command(operation, inputs: inputs, outputs: [out]))
    var inverse = order
    for (position, axis) in order.enumerated() { inverse[axis] = position }
    return Tensor(out.with(out.layout.permuted(inverse)), on: device)
  }
}

extension Layout {
  /// The axes from the outermost to the innermost in memory, where the elements lie without gaps in
  /// another order than row-major; else nil.
  var permutedOrder: [Int]? {
    if isContiguous { return nil }
    // Where an axis of extent 1 stands does not matter.
    let order =
      shape.indices.filter { shape[$0] == 1 }
      + shape.indices.filter { shape[$0] != 1 }.sorted { strides[$0] > strides[$1] }
    return permuted(order).isContiguous ? order : nil
  }

  /// The order that all layouts share but those that repeat elements, nil where there is none.
  static func permutedOrder(_ layouts: [Layout]) -> [Int]? {
    var order: [Int]?
    for layout in layouts where !layout.repeatsElements {
      if let order {
        guard layout.permuted(order).isContiguous else { return nil }
      } else {
        guard let found = layout.permutedOrder else { return nil }
        order = found
      }
    }
    return order
  }

  private var repeatsElements: Bool {
    for (extent, stride) in zip(shape, strides) where stride == 0 && extent != 1 { return true }
    return false
  }
}

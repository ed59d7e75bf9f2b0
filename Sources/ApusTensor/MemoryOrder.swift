import ApusDevice

// Element-wise operations keep the order in which their operands lie in memory, so that feature maps
// with channels last stay so from one convolution to the next, and the walk stays contiguous.

extension Tensor {
  /// An empty `[N, C, H, W]` in the memory order that the device's convolutions prefer.
  ///
  /// - Parameter file: That of the operation whose result it will hold, named where memory is short.
  static func featureMap(
    _ shape: [Int], _ dtype: DType, on device: Device, file: StaticString = #fileID
  ) throws -> Tensor {
    do {
      return Tensor(try device.backend.featureMap(shape, dtype), on: device)
    } catch let error as ApusError { throw error.asking(for: operation(in: file), shape, dtype) }
  }

  /// One operation is one file, so the file's name is the operation's.
  static func operation(in file: StaticString) -> String {
    let name = "\(file)".split(separator: "/").last?.split(separator: ".").first ?? "allocate"
    return name.prefix(1).lowercased() + name.dropFirst()
  }

  /// An empty `[N, C, H, W]` for the result of a convolution of images that lie like `like`, or for
  /// the gradient of these.
  static func featureMap(
    _ shape: [Int], _ convolution: Convolution, weight: Tensor, like: Tensor
  ) throws -> Tensor {
    let layout = like.operand.layout
    if convolution.keepsPlanes(weight: weight.shape), layout.isContiguous, !layout.isChannelsLast {
      return try allocated(shape, like.dtype, on: like.device)
    }
    return try featureMap(shape, like.dtype, on: like.device)
  }

  /// Runs an element-wise operation with one operand.
  @inline(__always)
  static func elementwise(_ operation: Operation, _ x: Tensor, dtype: DType) throws -> Tensor {
    if x.operand.layout.isContiguous {
      return try run(operation, x, shape: x.shape, dtype: dtype)
    }
    return try elementwise(operation, inMemoryOrder: [x.operand], dtype, on: x.device)
  }

  /// Runs an element-wise operation with two operands of one shape and device.
  @inline(__always)
  static func elementwise(
    _ operation: Operation, _ a: Operand, _ b: Operand, dtype: DType, on device: Device
  ) throws -> Tensor {
    if a.layout.isContiguous && b.layout.isContiguous {
      let out = try device.backend.temporary(a.layout.shape, dtype, for: operation)
      try device.backend.enqueue(Command(operation, inputs: [a, b], outputs: [out]))
      return Tensor(out, on: device)
    }
    return try elementwise(operation, inMemoryOrder: [a, b], dtype, on: device)
  }

  /// Runs an element-wise operation with operands of one shape.
  static func elementwise(_ operation: Operation, _ inputs: [Tensor], dtype: DType) throws -> Tensor
  {
    try elementwise(
      operation, inMemoryOrder: inputs.map(\.operand), dtype,
      on: try commonDevice(inputs, operation))
  }

  /// The device sees the axes from the outermost to the innermost in memory.
  private static func elementwise(
    _ operation: Operation, inMemoryOrder operands: [Operand], _ dtype: DType, on device: Device
  ) throws -> Tensor {
    let backend = device.backend
    let first = operands[0].layout
    // The usual case needs no axes at all.
    if operands.allSatisfy(\.layout.isChannelsLast) {
      let inputs = operands.map {
        $0.with(Layout(contiguous: [first.count], offset: $0.layout.offset))
      }
      let out = try backend.temporary([first.count], dtype, for: operation)
      try backend.enqueue(Command(operation, inputs: inputs, outputs: [out]))
      return Tensor(out.with(Layout(channelsLast: first.shape)), on: device)
    }
    guard let order = Layout.permutedOrder(operands.map(\.layout)) else {
      let out = try backend.temporary(first.shape, dtype, for: operation)
      try backend.enqueue(Command(operation, inputs: operands, outputs: [out]))
      return Tensor(out, on: device)
    }
    let inputs = operands.map { $0.with($0.layout.permuted(order)) }
    let out = try backend.temporary(inputs[0].shape, dtype, for: operation)
    try backend.enqueue(Command(operation, inputs: inputs, outputs: [out]))
    return Tensor(out.with(out.layout.permuted(order.inversePermutation)), on: device)
  }
}

extension [Int] {
  /// The permutation that undoes this one.
  var inversePermutation: [Int] {
    var result = self
    for (position, axis) in enumerated() { result[axis] = position }
    return result
  }
}

extension Layout {
  /// The axes from the outermost to the innermost in memory, where that is another order than
  /// row-major; nil also where elements are repeated.
  var permutedOrder: [Int]? {
    if isContiguous || repeatsElements { return nil }
    // Where an axis of extent 1 stands does not matter.
    let axes = shape.indices.filter { shape[$0] != 1 }
    let order = axes.sorted {
      strides[$0] != strides[$1] ? strides[$0] > strides[$1] : $0 < $1
    }
    return order == axes ? nil : shape.indices.filter { shape[$0] == 1 } + order
  }

  /// The order that all layouts share but those that repeat elements, nil where there is none.
  static func permutedOrder(_ layouts: [Layout]) -> [Int]? {
    var order: [Int]?
    for layout in layouts where !layout.repeatsElements {
      if let order {
        guard layout.follows(order) else { return nil }
      } else {
        guard let found = layout.permutedOrder else { return nil }
        order = found
      }
    }
    return order
  }

  /// Whether no step along an axis is longer than one along an axis before it in the order.
  private func follows(_ order: [Int]) -> Bool {
    var last = Int.max
    for axis in order where shape[axis] != 1 {
      if strides[axis] > last { return false }
      last = strides[axis]
    }
    return true
  }

  private var repeatsElements: Bool {
    for (extent, stride) in zip(shape, strides) where stride == 0 && extent != 1 { return true }
    return false
  }
}

import ApusDevice

extension Tensor {
  /// The same elements in row-major order seen as `shape`; one extent may be −1. A view where the
  /// strides allow, else a copy.
  public func reshaped(_ shape: [Int]) throws -> Tensor {
    if shape == self.shape { return self }
    let target = try resolved(shape)
    let source =
      isContiguous || operand.layout.reshaped(to: target) != nil ? self : try contiguous()
    guard let layout = source.operand.layout.reshaped(to: target) else {
      throw ApusError(
        .shape, operation: "reshaped", "shape \(self.shape) does not become \(target)")
    }
    let out = source.viewed(layout)
    guard let tape = try Tape.watching(self) else { return out }
    let original = self.shape
    return try tape.record(out, from: [self]) { [try $0.reshaped(original)] }
  }
  public func reshaped(_ shape: Int...) throws -> Tensor { try reshaped(shape) }

  private func resolved(_ shape: [Int]) throws -> [Int] {
    var target = shape
    if let free = shape.firstIndex(of: -1) {
      target[free] = 1
      let known = try ShapeRule.count(target, "reshaped")
      guard known > 0, count % known == 0 else {
        throw ApusError(
          .shape, operation: "reshaped",
          "\(self.shape) holds \(count) elements, which no extent for -1 in \(shape) fits")
      }
      target[free] = count / known
    }
    guard try ShapeRule.count(target, "reshaped") == count else {
      throw ApusError(
        .shape, operation: "reshaped",
        "\(self.shape) holds \(count) elements, \(shape) would hold another number; "
          + "the product of extents must stay")
    }
    return target
  }

  /// Axes `start...end` merged into one.
  public func flattened(start: Int = 0, end: Int = -1) throws -> Tensor {
    if rank == 0 { return try reshaped([1]) }
    let first = try ShapeRule.axis(start, rank: rank, "flattened")
    let last = try ShapeRule.axis(end, rank: rank, "flattened")
    guard first <= last else {
      throw ApusError(
        .value, operation: "flattened", "start \(start) lies after end \(end) in shape \(shape)")
    }
    let merged = shape[first...last].reduce(1, *)
    return try reshaped(Array(shape[..<first]) + [merged] + Array(shape[(last + 1)...]))
  }

  /// Without the axis, whose extent must be 1; without all such axes for nil.
  public func squeezed(axis: Int? = nil) throws -> Tensor {
    guard let axis else { return try reshaped(shape.filter { $0 != 1 }) }
    let index = try ShapeRule.axis(axis, rank: rank, "squeezed")
    guard shape[index] == 1 else {
      throw ApusError(
        .shape, operation: "squeezed",
        "axis \(index) of shape \(shape) has extent \(shape[index]); only extent 1 can go")
    }
    var target = shape
    target.remove(at: index)
    return try reshaped(target)
  }

  /// With a new axis of extent 1 at `axis`.
  public func unsqueezed(axis: Int) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank + 1, "unsqueezed")
    var target = shape
    target.insert(1, at: index)
    return try reshaped(target)
  }

  /// A view with the axes in another order; reversed for nil.
  public func permuted(_ axes: [Int]? = nil) throws -> Tensor {
    let order = try (axes ?? Array((0..<rank).reversed())).map {
      try ShapeRule.axis($0, rank: rank, "permuted")
    }
    guard order.sorted() == Array(0..<rank) else {
      throw ApusError(
        .value, operation: "permuted",
        "\(order) is no order of the \(rank) axes of shape \(shape); name each exactly once")
    }
    var out = viewed(operand.layout.permuted(order))
    if let tape = try Tape.watching(self) {
      out = try tape.record(out, from: [self], pullback: Self.permutedBack(order))
    }
    if let chosenRows, order.last == rank - 1 {
      out.chosenRows = ChosenRows(
        table: chosenRows.table, indices: try chosenRows.indices.permuted(order.dropLast()))
    }
    return out
  }

  private static func permutedBack(_ order: [Int]) -> Tape.Pullback {
    var inverse = order
    for (position, axis) in order.enumerated() { inverse[axis] = position }
    let back = inverse
    return { [try $0.permuted(back)] }
  }

  /// A view with two axes exchanged, the last two unless named.
  public func transposed(_ a: Int = -2, _ b: Int = -1) throws -> Tensor {
    guard rank > 1 else { return self }
    var order = Array(0..<rank)
    order.swapAt(
      try ShapeRule.axis(a, rank: rank, "transposed"),
      try ShapeRule.axis(b, rank: rank, "transposed"))
    return try permuted(order)
  }

  /// A view repeated to `shape` by NumPy's rules.
  public func broadcast(to shape: [Int]) throws -> Tensor {
    _ = try ShapeRule.count(shape, "broadcast")
    guard try ShapeRule.broadcast(self.shape, shape, "broadcast") == shape else {
      throw ApusError(
        .shape, operation: "broadcast", "shape \(self.shape) does not broadcast to \(shape)")
    }
    let out = viewed(operand.layout.broadcast(to: shape))
    guard let tape = try Tape.watching(self) else { return out }
    let original = self.shape
    return try tape.record(out, from: [self]) { [try $0.summed(to: original)] }
  }

  /// Tensors joined along an axis; all other extents must agree.
  public static func concatenated(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    guard let first = tensors.first else {
      throw ApusError(.value, operation: "concatenated", "there is nothing to join")
    }
    let index = try ShapeRule.axis(axis, rank: first.rank, "concatenated")
    var shape = first.shape
    shape[index] = 0
    for x in tensors {
      var other = x.shape
      if index < other.count { other[index] = first.shape[index] }
      guard other == first.shape, x.dtype == first.dtype else {
        throw ApusError(
          .shape, operation: "concatenated",
          "\(x.dtype)\(x.shape) does not join \(first.dtype)\(first.shape) along axis \(index); "
            + "type and all other extents must agree")
      }
      shape[index] += x.shape[index]
    }
    let device = try commonDevice(tensors, .copy)
    // In the memory order that they share, so that each copy runs along it.
    let order = Layout.permutedOrder(tensors.map(\.operand.layout)) ?? Array(shape.indices)
    let memory: Operand
    do { memory = try device.backend.temporary(order.map { shape[$0] }, first.dtype) } catch let
      error as ApusError
    { throw error.asking(for: "concatenated", shape, first.dtype) }
    let out = Tensor(memory.with(memory.layout.permuted(order.inversePermutation)), on: device)
    var start = 0
    for x in tensors where x.shape[index] > 0 {
      let part = out.operand.layout.sliced(axis: index, start: start, length: x.shape[index])
      try device.backend.enqueue(
        Command(
          .copy, inputs: [x.operand.with(x.operand.layout.permuted(order))],
          outputs: [memory.with(part.permuted(order))]))
      start += x.shape[index]
    }
    guard let tape = try Tape.watching(tensors) else { return out }
    let extents = tensors.map { $0.shape[index] }
    return try tape.record(out, from: tensors) { dy in
      var start = 0
      return try extents.map { extent in
        defer { start += extent }
        return try dy.slice(axis: index, start: start, end: start + extent)
      }
    }
  }

  /// Tensors of one shape joined along a new axis.
  public static func stacked(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    try concatenated(try tensors.map { try $0.unsqueezed(axis: axis) }, axis: axis)
  }

  /// Parts of these lengths along an axis.
  public func split(_ lengths: [Int], axis: Int = 0) throws -> [Tensor] {
    let index = try ShapeRule.axis(axis, rank: rank, "split")
    guard lengths.allSatisfy({ $0 >= 0 }), lengths.reduce(0, +) == shape[index] else {
      throw ApusError(
        .shape, operation: "split",
        "lengths \(lengths) do not add up to extent \(shape[index]) of axis \(index)")
    }
    var start = 0
    return try lengths.map { length in
      defer { start += length }
      return try slice(axis: index, start: start, end: start + length)
    }
  }

  /// With `value` around: for each axis how many elements before and after.
  public func padded(_ widths: [(before: Int, after: Int)], value: Double = 0) throws -> Tensor {
    guard widths.count == rank, widths.allSatisfy({ $0.before >= 0 && $0.after >= 0 }) else {
      throw ApusError(
        .value, operation: "padded",
        "widths \(widths) do not fit shape \(shape): one non-negative pair per axis")
    }
    let target = zip(shape, widths).map { $0 + $1.before + $1.after }
    _ = try ShapeRule.count(target, "padded")
    let out = try Tensor.full(target, value, dtype: dtype, on: device)
    var inner = out.operand.layout
    for (axis, width) in widths.enumerated() {
      inner = inner.sliced(axis: axis, start: width.before, length: shape[axis])
    }
    if count > 0 {
      try device.backend.enqueue(
        Command(.copy, inputs: [operand], outputs: [out.operand.with(inner)]))
    }
    guard let tape = try Tape.watching(self) else { return out }
    let (starts, extents) = (widths.map(\.before), shape)
    return try tape.record(out, from: [self]) { dy in
      var part = dy
      for axis in extents.indices {
        part = try part.slice(axis: axis, start: starts[axis], end: starts[axis] + extents[axis])
      }
      return [part]
    }
  }
}

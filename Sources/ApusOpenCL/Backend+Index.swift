import ApusDevice

extension OpenCLBackend {
  /// `indices` has the shape of `out`.
  func gather(
    _ operation: FaultingOperation, axis: Int, _ x: Operand, _ indices: Operand, _ out: Operand
  ) throws {
    try require(.int32, indices, operation.name)
    // An empty axis of x has no valid index, but the walk must not read through it either.
    var it = try Iteration(
      out.layout, x.layout.holding(axis, shape: out.shape), indices.layout)
    guard it.count > 0 else { return }
    let size = launchSize(&it)
    let (source, table, target) = (try buffer(x), try buffer(indices), try buffer(out))
    let kernel: KernelID
    switch x.dtype.byteCount {
    case 1: kernel = .gather_1
    case 2: kernel = .gather_2
    case 4: kernel = .gather_4
    default: kernel = .gather_8
    }
    _ = try index(x.layout.end)
    try runtime.launchChecked(kernel, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(table)
      $0.buffer(target)
      $0.value(Int32(truncatingIfNeeded: x.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: x.layout.strides[axis]))
      $0.value(operation.rawValue)
    }
  }

  /// `indices` has the shape of `source`.
  func scatterAdd(
    _ operation: FaultingOperation, axis: Int, _ x: Operand, _ indices: Operand,
    _ source: Operand, _ out: Operand
  ) throws {
    try require(.int32, indices, operation.name)
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported(operation.name, x.dtype, takes: "float32 and int32")
    }
    try copy(x, to: out)
    let lines = source.shape.indices.filter { $0 != axis }
    guard source.count > 0 else { return }
    let shape = lines.map { source.shape[$0] }
    let target = Layout(
      shape: shape, strides: lines.map { out.layout.strides[$0] }, offset: out.layout.offset)
    var it = try Iteration(
      target, source.layout.selecting(lines), indices.layout.selecting(lines))
    _ = try index(out.layout.end)
    let size = columnLaunchSize(&it, parts: 1)
    let (from, table, to) = (try buffer(source), try buffer(indices), try buffer(out))
    try runtime.launchChecked(
      x.dtype == .int32 ? .scatter_add_int : .scatter_add_float, LaunchSize(size.global.0)
    ) {
      $0.value(it)
      $0.buffer(from)
      $0.buffer(table)
      $0.buffer(to)
      $0.value(Int32(truncatingIfNeeded: source.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: out.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: out.layout.strides[axis]))
      $0.value(Int32(truncatingIfNeeded: source.layout.strides[axis]))
      $0.value(Int32(truncatingIfNeeded: indices.layout.strides[axis]))
      $0.value(operation.rawValue)
    }
  }

  /// Sorts along the axis and writes as many elements as `values` holds there.
  func sort(
    axis: Int, descending: Bool, _ x: Operand, _ values: Operand, _ positions: Operand
  ) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("sort", x.dtype, takes: "float32 and int32")
    }
    guard values.count > 0 else { return }
    let lines = x.shape.indices.filter { $0 != axis }
    var it = try Iteration(
      values.layout.selecting(lines), positions.layout.selecting(lines),
      x.layout.selecting(lines))
    let extent = x.shape[axis]
    let size = lineLaunchSize(&it, cost: extent)
    let scratch = try temporary([Int(it.count), 2, extent], .int32)
    let (source, first, second) = (try buffer(x), try buffer(values), try buffer(positions))
    let room = try buffer(scratch)
    try runtime.launch(x.dtype == .int32 ? .sort_int : .sort_float, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(first)
      $0.buffer(second)
      $0.buffer(room)
      $0.value(Int32(truncatingIfNeeded: extent))
      $0.value(Int32(truncatingIfNeeded: values.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: x.layout.strides[axis]))
      $0.value(Int32(truncatingIfNeeded: values.layout.strides[axis]))
      $0.value(Int32(truncatingIfNeeded: positions.layout.strides[axis]))
      $0.value(Int32(descending ? 1 : 0))
    }
  }
}

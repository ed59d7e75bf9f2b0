import ApusDevice
import COpenCL

extension OpenCLBackend {
  func reduce(_ op: ReduceOp, axes: [Int], _ x: Operand, _ out: Operand) throws {
    let isInteger = x.dtype == .int32
    guard x.dtype == .float32 || (isInteger && op != .mean) else {
      throw unsupported("\(op)", x.dtype, takes: op == .mean ? "float32" : "float32 and int32")
    }
    guard out.count > 0 else { return }
    var length = 1
    for axis in axes { length *= x.shape[axis] }
    if length == 0 { return try fill(op == .mean ? .nan : 0, out) }

    let keptAxes = x.shape.indices.filter { !axes.contains($0) }
    let keptX = x.layout.selecting(keptAxes)
    let reduced = x.layout.selecting(axes)
    let red = try Iteration(
      Layout(shape: reduced.shape, strides: reduced.strides, offset: 0)
        .selecting(reduced.axesInMemoryOrder))
    var kept = try Iteration(out.layout.selecting(keptAxes), keptX)
    // Lanes lie along whichever axis is dense; a short kept axis is not worth it.
    let isColumns =
      kept.stride[8] == 1 && kept.shape[0] > 1 && (red.stride[0] != 1 || runtime.isGPU)
      && !(red.stride[0] == 1)
    let outputs = Int(kept.count)
    let usualParts = partCount(length: length, outputs: outputs, isColumns: isColumns)
    let choice = tuned(
      TuningKey(
        operation: isColumns ? "reduceColumns" : "reduceRows",
        sizes: [length, outputs, Int(red.shape[0]), x.dtype.byteCount])
    ) { reductionCandidates(length: length, usual: usualParts, isRows: !isColumns && !isInteger) }
    let parts = max(1, min(choice?.first ?? usualParts, 64, length))
    let isWide = runtime.isGPU && !isColumns && !isInteger && choice?.last == 256
    let kernel: KernelID =
      isColumns
      ? (isInteger ? .reduce_columns_int : .reduce_columns_float)
      : isInteger ? .reduce_rows_int : isWide ? .reduce_rows_float_wide : .reduce_rows_float
    let source = try buffer(x)
    guard parts > 1 else {
      let target = try buffer(out)
      return try launchReduction(
        kernel, isColumns, &kept, red, source, target, op.rawValue, segment: length,
        parts: 1, divisor: length)
    }
    // Partial results [parts, outputs], then their combination along the first axis.
    let partial = try temporary([parts, outputs], x.dtype)
    let target = try buffer(partial)
    let dense = Layout(contiguous: keptX.shape)
    kept = try Iteration(dense, keptX)
    let first: ReduceOp = op == .mean ? .sum : op
    try launchReduction(
      kernel, isColumns, &kept, red, source, target, first.rawValue,
      segment: (length + parts - 1) / parts, parts: parts, divisor: 1)
    var last = try Iteration(out.layout.selecting(keptAxes), dense)
    let combined = try Iteration(Layout(shape: [parts], strides: [outputs], offset: 0))
    try launchReduction(
      isInteger ? .reduce_columns_int : .reduce_columns_float, true, &last, combined, target,
      try buffer(out), op.rawValue, segment: parts, parts: 1, divisor: length)
  }

  /// Long reductions with few outputs are cut so that every unit has work. Depends on shapes and
  /// the device only, so repeats agree bit for bit.
  private func partCount(length: Int, outputs: Int, isColumns: Bool) -> Int {
    let wanted = runtime.isGPU ? 1024 : runtime.description.computeUnits * 4
    let items = isColumns ? (outputs + 63) / 64 : outputs
    let smallest = isColumns ? 256 : 8192
    // A part goes down its rows block of columns by block of columns; so few rows that their pages stay
    // known to the processor are read twice as fast.
    if isColumns, !runtime.isGPU, outputs < 1024 * wanted, length >= 512 {
      return min(64, length / 128)
    }
    if items >= wanted || length < 2 * smallest { return 1 }
    return min(64, length / smallest)
  }

  /// Parts, and for rows on a GPU the items of a work-group.
  private func reductionCandidates(length: Int, usual: Int, isRows: Bool) -> [TuningCandidate] {
    let parts = [1, 2, 4, 8, 16, 32, 64].filter { $0 == 1 || length / $0 >= 64 }
    let narrow = parts.filter { $0 != usual }.map { TuningCandidate([$0], isAlike: false) }
    guard isRows, runtime.isGPU else { return narrow }
    return narrow
      + Set(parts + [usual]).sorted().map { TuningCandidate([$0, 256], isAlike: false) }
  }

  private func launchReduction(
    _ kernel: KernelID, _ isColumns: Bool, _ kept: inout Iteration, _ red: Iteration,
    _ source: cl_mem, _ target: cl_mem, _ op: UInt8, segment: Int, parts: Int, divisor: Int
  ) throws {
    let size: LaunchSize
    if isColumns {
      size = columnLaunchSize(&kept, parts: parts)
    } else if runtime.isGPU {
      let group = kernel == .reduce_rows_float_wide ? 256 : 64
      size = LaunchSize(Int(kept.count) * group, parts, local: (group, 1))
    } else {
      let lines = lineLaunchSize(&kept, cost: segment)
      size = LaunchSize(lines.global.0, parts)
    }
    let walk = kept
    try runtime.launch(kernel, size) {
      $0.value(walk)
      $0.value(red)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(Int32(op))
      $0.value(Int32(truncatingIfNeeded: segment))
      $0.value(Int32(truncatingIfNeeded: divisor))
    }
  }

  func argReduce(_ op: ArgReduceOp, axis: Int, _ x: Operand, _ out: Operand) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("arg\(op)", x.dtype, takes: "float32 and int32")
    }
    guard out.count > 0 else { return }
    let kept = x.shape.indices.filter { $0 != axis }
    var it = try Iteration(out.layout.selecting(kept), x.layout.selecting(kept))
    let size = lineLaunchSize(&it, cost: x.shape[axis])
    let (source, target) = (try buffer(x), try buffer(out))
    try runtime.launch(x.dtype == .int32 ? .arg_reduce_int : .arg_reduce_float, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(Int32(op.rawValue))
      $0.value(Int32(truncatingIfNeeded: x.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: x.layout.strides[axis]))
    }
  }

  func cumulativeSum(axis: Int, _ x: Operand, _ out: Operand) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("cumulativeSum", x.dtype, takes: "float32 and int32")
    }
    guard out.count > 0 else { return }
    let kept = x.shape.indices.filter { $0 != axis }
    var it = try Iteration(out.layout.selecting(kept), x.layout.selecting(kept))
    let size = lineLaunchSize(&it, cost: x.shape[axis])
    let (source, target) = (try buffer(x), try buffer(out))
    try runtime.launch(x.dtype == .int32 ? .cumulative_sum_int : .cumulative_sum_float, size) {
      $0.value(it)
      $0.buffer(source)
      $0.buffer(target)
      $0.value(Int32(truncatingIfNeeded: x.shape[axis]))
      $0.value(Int32(truncatingIfNeeded: out.layout.strides[axis]))
      $0.value(Int32(truncatingIfNeeded: x.layout.strides[axis]))
    }
  }
}

extension Layout {
  /// The layout of the named axes alone, at index 0 of the others.
  func selecting(_ axes: [Int]) -> Layout {
    Layout(shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] }, offset: offset)
  }

  /// The same elements with the axis not moving.
  func holding(_ axis: Int, shape: [Int]) -> Layout {
    var strides = strides
    strides[axis] = 0
    return Layout(shape: shape, strides: strides, offset: offset)
  }
}

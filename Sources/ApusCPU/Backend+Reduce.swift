import ApusDevice
import CVector

extension CPUBackend {
  func reduce(_ op: ReduceOp, _ axes: [Int], _ x: Operand, _ out: Operand) throws {
    guard x.dtype == .float32 || (x.dtype == .int32 && op != .mean) else {
      throw unsupported(
        "reduce \(op)", x.dtype, takes: op == .mean ? "float32" : "float32 and int32")
    }
    try checkRank(x, "reduce \(op)")
    let code: apus_reduction
    switch op {
    case .sum: code = APUS_SUM
    case .mean: code = APUS_MEAN
    case .maximum: code = APUS_MAX
    case .minimum: code = APUS_MIN
    }
    var mask: UInt32 = 0
    for axis in axes { mask |= 1 << UInt32(axis) }
    let (source, target) = (try pointer(x), try pointer(out))
    let layout = x.layout
    let scratch = apus_reduce_scratch(Int32(layout.rank), layout.shape, mask, layout.strides)
    try withScratch(scratch) {
      apus_reduce(
        code, x.dtype == .int32, Int32(layout.rank), layout.shape, mask, source, layout.strides,
        target, out.layout.strides, $0)
    }
  }

  func argReduce(_ op: ArgReduceOp, _ axis: Int, _ x: Operand, _ out: Operand) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("arg\(op)", x.dtype, takes: "float32 and int32")
    }
    let columns = x.shape[axis]
    guard columns > 0 else { return }
    try reading(x.axisLast(axis)) { dense in
      try withContiguous(out) { out in
        apus_arg_reduce(
          op == .maximum, x.dtype == .int32, x.count / columns, columns, try pointer(dense[0]),
          columns, try words(out))
      }
    }
  }

  func sumOfSquares(_ inputs: [Operand], _ out: Operand) throws {
    for operand in inputs { try require(.float32, operand, "sumOfSquares") }
    let target = try floats(out)
    try reading(inputs) { operands in
      let pieces = operands.reduce(0) { $0 + ($1.count + 65535) / 65536 }
      let counts = operands.map(\.count)
      let pointers = try operands.map { UnsafePointer(try floats($0)) }
      try withScratch(max(pieces, 1) * 8) {
        guard let partials = $0?.assumingMemoryBound(to: Double.self) else { return }
        apus_sum_of_squares(operands.count, pointers, counts, partials, target)
      }
    }
  }
}

extension Operand {
  /// The same elements with `axis` moved last; the order of the others stays.
  func axisLast(_ axis: Int) -> Operand {
    if axis == layout.rank - 1 { return self }
    var axes = Array(shape.indices)
    axes.remove(at: axis)
    axes.append(axis)
    return with(layout.permuted(axes))
  }
}

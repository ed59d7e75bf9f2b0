import ApusDevice

/// Up to four operands over one index space, as the kernels take it by value (`Iteration` in
/// prelude.cl): axis 0 is the innermost, axes of extent 1 are dropped and neighbours merged where
/// every operand is dense across them.
struct Iteration: BitwiseCopyable {
  var rank: Int32 = 0
  var count: Int32 = 0
  var chunk: Int32 = 0
  /// Whether kernels for CPUs store the output past the caches: it is dense, aligned and large.
  var streams: Int32 = 0
  var shape = InlineArray<8, Int32>(repeating: 1)
  var offset = InlineArray<4, Int32>(repeating: 0)
  /// Operand-major: `stride[8 * operand + axis]`.
  var stride = InlineArray<32, Int32>(repeating: 0)

  /// Layouts of one shape, the output first.
  @inline(__always)
  init(_ layouts: Layout...) throws { try self.init(layouts) }

  init(_ layouts: [Layout], merging: Bool = true) throws {
    let first = layouts[0]
    for (operand, layout) in layouts.enumerated() {
      offset[operand] = try index(layout.offset)
    }
    count = try index(first.count)
    if count == 0 { return }
    for axis in Swift.stride(from: first.shape.count - 1, through: 0, by: -1) {
      let extent = Int32(truncatingIfNeeded: first.shape[axis])
      if extent == 1 { continue }
      var isDense = rank > 0 && merging
      if isDense {
        let previous = Int(rank) - 1
        for operand in layouts.indices
        where layouts[operand].strides[axis]
          != Int(stride[8 * operand + previous]) * Int(shape[previous])
        {
          isDense = false
          break
        }
        if isDense {
          shape[previous] *= extent
          continue
        }
      }
      for operand in layouts.indices {
        stride[8 * operand + Int(rank)] = try index(layouts[operand].strides[axis])
      }
      shape[Int(rank)] = extent
      rank += 1
    }
    if rank == 0 { rank = 1 }
    for layout in layouts { _ = try index(layout.end) }
  }

  /// Operands of one length, the output first, each dense or a single repeated element.
  init(_ operands: [ChainOperand], count: Int32) {
    self.count = count
    rank = 1
    shape[0] = count
    for (index, operand) in operands.enumerated() {
      offset[index] = operand.offset
      stride[8 * index] = operand.isSplat ? 0 : 1
    }
  }

  /// Whether the operand is dense in the order of the walk.
  func isContiguous(_ operand: Int) -> Bool {
    rank == 1 && (stride[8 * operand] == 1 || count == 1)
  }
}

/// Kernels count in 32 bits.
@inline(__always)
func index(_ value: Int) throws -> Int32 {
  guard value <= Int(Int32.max) else { throw tooLarge(value) }
  return Int32(truncatingIfNeeded: value)
}

private func tooLarge(_ value: Int) -> ApusError {
  ApusError(
    .value, operation: "opencl",
    "a tensor reaches element \(value); this device addresses at most \(Int32.max); split it")
}

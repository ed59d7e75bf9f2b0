import ApusDevice
import COpenCL

/// `Recurrent` of recurrent.cl.
private struct RecurrentArguments: BitwiseCopyable {
  var cell, isReversed, steps, rows, width: Int32
  var gates, savedBlocks: Int32
  var hasLengths, hasBias, hasSaved: Int32
  var slice: Int32 = 0
  var vectors: Int32 = 0
  var gatesAt: Int32 = 0
  var weightAt: Int32 = 0
  var biasAt: Int32 = 0
  var h0At: Int32 = 0
  var c0At: Int32 = 0
  var lengthsAt: Int32 = 0
  var yAt: Int32 = 0
  var hnAt: Int32 = 0
  var cAt: Int32 = 0
  var savedAt: Int32 = 0
  var dyAt: Int32 = 0
  var dhAt: Int32 = 0
  var dcAt: Int32 = 0
  var dgatesAt: Int32 = 0

  init(_ recurrence: Recurrence, _ shape: [Int], hasSaved: Bool) throws {
    cell =
      switch recurrence.cell {
      case .tanh: 0
      case .relu: 1
      case .lstm: 2
      case .gru: 3
      }
    isReversed = recurrence.isReversed ? 1 : 0
    (steps, rows, width) = (try index(shape[0]), try index(shape[1]), try index(shape[2]))
    gates = Int32(recurrence.gateCount)
    savedBlocks = Int32(recurrence.savedCount)
    hasLengths = recurrence.hasLengths ? 1 : 0
    hasBias = recurrence.hasBias ? 1 : 0
    self.hasSaved = hasSaved ? 1 : 0
  }

}

extension OpenCLBackend {
  func recurrence(_ command: Command, _ recurrence: Recurrence) throws {
    let it = Recurrence.Forward(command, recurrence)
    guard it.hn.count > 0 else { return }
    var r = try RecurrentArguments(recurrence, it.y.shape, hasSaved: it.saved != nil)
    let (gates, weight, h0) = (
      try denseInput(it.gates), try denseInput(it.weight), try denseInput(it.h0)
    )
    let bias = try it.bias.map { try denseInput($0) }
    let lengths = try it.lengths.map { try denseInput($0, .int32) }
    let (y, hn) = (try room(for: it.y), try room(for: it.hn))
    let (cn, saved) = (try it.cn.map { try room(for: $0) }, try it.saved.map { try room(for: $0) })
    // A buffer alone does not keep a copy alive.
    let operands = [gates, weight, h0, bias, lengths, y, hn, cn, saved]
    defer { withExtendedLifetime(operands) {} }
    if let c0 = it.c0, let cn { try copy(c0, to: cn) }
    (r.gatesAt, r.weightAt, r.h0At) = (try start(gates), try start(weight), try start(h0))
    (r.yAt, r.hnAt) = (try start(y), try start(hn))
    r.biasAt = try bias.map { try start($0) } ?? 0
    r.lengthsAt = try lengths.map { try start($0) } ?? 0
    r.cAt = try cn.map { try start($0) } ?? 0
    r.savedAt = try saved.map { try start($0) } ?? 0

    let (a, b, c, d) = (
      try buffer(gates), try buffer(weight), try buffer(bias ?? weight), try buffer(h0)
    )
    let (e, f, g, h) = (
      try buffer(lengths ?? h0), try buffer(y), try buffer(cn ?? y), try buffer(saved ?? y)
    )
    func setTables(_ arguments: inout KernelArguments) {
      for table in [c, d, e, f, g, h] { arguments.buffer(table) }
    }
    if runtime.isGPU {
      let size = groupSize(r)
      for step in recurrence.steps(it.y.shape[0]) {
        try runtime.launch(.recurrent_step, size) {
          $0.value(r)
          $0.value(Int32(truncatingIfNeeded: step))
          $0.buffer(a)
          $0.buffer(b)
          setTables(&$0)
        }
      }
    } else if r.steps > 0 {
      let byGates = r.cell >= 2
      let packed = try pack(b, byGates: byGates, isTransposed: false, &r)
      let panels = try buffer(packed)
      let (marks, size) = try share(&r, units: byGates ? 16 : 64, phases: Int(r.steps))
      defer { withExtendedLifetime((packed, marks)) {} }
      let flags = try marks.map { try buffer($0) }
      try runtime.launch(flags == nil ? .recurrent_forward : .recurrent_forward_team, size) {
        $0.value(r)
        $0.buffer(a)
        $0.buffer(panels)
        setTables(&$0)
        if let flags { $0.buffer(flags) }
      }
    }
    let last = try buffer(hn)
    let count = it.hn.count
    let size =
      runtime.isGPU
      ? LaunchSize(min(count, 1 << 20), local: 64) : LaunchSize(min(count / 4096 + 1, 64))
    try runtime.launch(.recurrent_final, size) {
      $0.value(r)
      $0.buffer(d)
      $0.buffer(e)
      $0.buffer(f)
      $0.buffer(last)
    }
    try deliver([(y, it.y), (hn, it.hn), (cn, it.cn), (saved, it.saved)])
  }

  func recurrenceBackward(_ command: Command, _ recurrence: Recurrence) throws {
    let it = Recurrence.Backward(command, recurrence)
    let shape = it.y.shape
    let gateWidth = recurrence.gateCount * shape[2]
    let flat = [shape[0] * shape[1], gateWidth]
    var r = try RecurrentArguments(recurrence, shape, hasSaved: it.saved != nil)
    let (weight, y, h0, dy) = (
      try denseInput(it.weight), try denseInput(it.y), try denseInput(it.h0), try denseInput(it.dy)
    )
    let (saved, c0) = (
      try it.saved.map { try denseInput($0) }, try it.c0.map { try denseInput($0) }
    )
    let lengths = try it.lengths.map { try denseInput($0, .int32) }
    let dgates = try room(for: it.dgates)
    let (dh, dc) = (try room(for: it.dh0), try it.dc0.map { try room(for: $0) })
    // The gradients of the recurrent product are those of the gates but for a GRU.
    let products =
      recurrence.cell == .gru
      ? try temporary(flat) : dgates.with(Layout(contiguous: flat, offset: dgates.layout.offset))
    let previous = try temporary([flat[0], shape[2]])
    let operands = [weight, y, h0, dy, saved, c0, lengths, dgates, dh, dc, products, previous]
    defer { withExtendedLifetime(operands) {} }
    try copy(it.dhn, to: dh)
    if let dcn = it.dcn, let dc { try copy(dcn, to: dc) }
    (r.weightAt, r.yAt, r.h0At) = (try start(weight), try start(y), try start(h0))
    (r.dyAt, r.dgatesAt, r.dhAt) = (try start(dy), try start(dgates), try start(dh))
    r.savedAt = try saved.map { try start($0) } ?? 0
    r.c0At = try c0.map { try start($0) } ?? 0
    r.lengthsAt = try lengths.map { try start($0) } ?? 0
    r.dcAt = try dc.map { try start($0) } ?? 0

    let tables = try [
      h0, c0 ?? h0, lengths ?? h0, y, saved ?? y, dy, dh, dc ?? dh, dgates, products, previous,
    ].map { try buffer($0) }
    let matrix = try buffer(weight)
    if it.y.count > 0 {
      if runtime.isGPU {
        let size = groupSize(r)
        let productsAt = try start(products)
        for step in recurrence.steps(shape[0]).reversed() {
          let t = Int32(truncatingIfNeeded: step)
          try runtime.launch(.recurrent_gradient, size) {
            $0.value(r)
            $0.value(t)
            for table in tables { $0.buffer(table) }
          }
          try runtime.launch(.recurrent_state, size) {
            $0.value(r)
            $0.value(t)
            $0.buffer(matrix)
            $0.buffer(tables[2])
            $0.buffer(tables[9])
            $0.value(productsAt)
            $0.buffer(tables[6])
          }
        }
      } else {
        let packed = try pack(matrix, byGates: false, isTransposed: true, &r)
        let panels = try buffer(packed)
        let (marks, size) = try share(&r, units: 64, phases: 2 * Int(r.steps))
        defer { withExtendedLifetime((packed, marks)) {} }
        let flags = try marks.map { try buffer($0) }
        try runtime.launch(flags == nil ? .recurrent_backward : .recurrent_backward_team, size) {
          $0.value(r)
          $0.buffer(panels)
          for table in tables { $0.buffer(table) }
          if let flags { $0.buffer(flags) }
        }
      }
    }
    try enqueue(
      .gemm,
      [products.with(products.layout.permuted([1, 0])).asBatch, previous.asBatch],
      [it.dweight.asBatch])
    if let dbias = it.dbias {
      let row = dbias.with(
        Layout(
          shape: [1, gateWidth], strides: [0, dbias.layout.strides[0]],
          offset: dbias.layout.offset))
      try reduce(.sum, axes: [0], products, row)
    }
    try deliver([(dgates, it.dgates), (dh, it.dh0), (dc, it.dc0)])
  }

  // MARK: Operands as the kernels want them

  private func denseInput(_ operand: Operand, _ dtype: DType = .float32) throws -> Operand {
    try require(dtype, operand, "recurrence")
    return try dense(operand)
  }

  /// The output itself where it is contiguous, else memory that `deliver` copies to it.
  private func room(for output: Operand) throws -> Operand {
    try require(.float32, output, "recurrence")
    return output.layout.isContiguous ? output : try temporary(output.shape)
  }

  private func deliver(_ results: [(Operand?, Operand?)]) throws {
    for case (let result?, let output?) in results where !output.layout.isContiguous {
      try copy(result, to: output)
    }
  }

  /// The first element, where all can be counted.
  private func start(_ operand: Operand) throws -> Int32 {
    _ = try index(operand.layout.end)
    return try index(operand.layout.offset)
  }

  private func groupSize(_ r: RecurrentArguments) -> LaunchSize {
    LaunchSize(Int(r.width), Int(r.rows), local: (16, 16))
  }

  /// How the work is shared: a slice of rows for each unit of the device; or blocks of `units` units of
  /// the state for the work-items of a team, which want marks.
  private func share(
    _ r: inout RecurrentArguments, units: Int, phases: Int
  ) throws -> (marks: Operand?, size: LaunchSize) {
    let compute = max(runtime.description.computeUnits, 1)
    let (rows, width) = (Int(r.rows), Int(r.width))
    let blocks = (width + units - 1) / units
    if compute > 1, blocks > 1, rows < 8 * compute, rows <= 48,
      rows * width * width * Int(r.gates) >= 1 << 15
    {
      _ = try index((phases + 1) * blocks)
      let marks = try temporary([1 + blocks], .int32)
      try fill(0, marks)
      return (marks, LaunchSize(min(compute, blocks)))
    }
    let slice = min(48, (rows + compute - 1) / compute)
    r.slice = Int32(truncatingIfNeeded: slice)
    return (nil, LaunchSize((rows + slice - 1) / slice))
  }

  /// The recurrent weight in panels.
  private func pack(
    _ weight: cl_mem, byGates: Bool, isTransposed: Bool, _ r: inout RecurrentArguments
  ) throws -> Operand {
    r.vectors = byGates ? r.gates : 4
    let (width, units) = (Int(r.width), byGates ? 16 : 64)
    let depth = isTransposed ? Int(r.gates) * width : width
    let panels = (width + units - 1) / units
    let packed = try temporary([panels, depth, Int(r.vectors) * 16])
    _ = try index(packed.count)
    let target = try buffer(packed)
    try runtime.launch(.recurrent_pack, LaunchSize(panels)) {
      $0.value(r)
      $0.buffer(weight)
      $0.buffer(target)
      $0.value(Int32(byGates ? 1 : 0))
      $0.value(isTransposed ? 1 : r.width)
      $0.value(isTransposed ? r.width : 1)
      $0.value(Int32(truncatingIfNeeded: depth))
    }
    return packed
  }
}

extension Operand {
  /// A matrix as a batch of one.
  fileprivate var asBatch: Operand {
    with(Layout(shape: [1] + shape, strides: [0] + layout.strides, offset: layout.offset))
  }
}

import ApusDevice
import COpenCL

/// `Recurrent` of recurrent.cl.
private struct RecurrentArguments: BitwiseCopyable {
  var cell, isReversed, steps, rows, width: Int32
  var gates, savedBlocks: Int32
  var hasLengths, hasBias, hasSaved: Int32
  var vectors: Int32 = 0
  var hasCopies: Int32 = 0
  var blockUnits: Int32 = 0
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
  var dhnAt: Int32 = 0
  var dcnAt: Int32 = 0
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
    let c0 = try it.c0.map { try denseInput($0) }
    let lengths = try it.lengths.map { try denseInput($0, .int32) }
    let (y, hn) = (try room(for: it.y), try room(for: it.hn))
    let (cn, saved) = (try it.cn.map { try room(for: $0) }, try it.saved.map { try room(for: $0) })
    // A buffer alone does not keep a copy alive.
    let operands = [gates, weight, h0, c0, bias, lengths, y, hn, cn, saved]
    defer { withExtendedLifetime(operands) {} }
    (r.gatesAt, r.weightAt, r.h0At) = (try start(gates), try start(weight), try start(h0))
    (r.yAt, r.hnAt) = (try start(y), try start(hn))
    r.biasAt = try bias.map { try start($0) } ?? 0
    r.c0At = try c0.map { try start($0) } ?? 0
    r.lengthsAt = try lengths.map { try start($0) } ?? 0
    r.cAt = try cn.map { try start($0) } ?? 0
    r.savedAt = try saved.map { try start($0) } ?? 0

    let (a, b, c, d) = (
      try buffer(gates), try buffer(weight), try buffer(bias ?? weight), try buffer(h0)
    )
    let (e, f, g, h) = (
      try buffer(lengths ?? h0), try buffer(y), try buffer(cn ?? y), try buffer(saved ?? y)
    )
    let (i, last) = (try buffer(c0 ?? h0), try buffer(hn))
    if runtime.isGPU {
      if let c0, let cn { try copy(c0, to: cn) }
      let size = groupSize(r)
      for step in recurrence.steps(it.y.shape[0]) {
        try runtime.launch(.recurrent_step, size) {
          $0.value(r)
          $0.value(Int32(truncatingIfNeeded: step))
          for table in [a, b, c, d, e, f, g, h] { $0.buffer(table) }
        }
      }
      try runtime.launch(.recurrent_final, LaunchSize(min(it.hn.count, 1 << 20), local: 64)) {
        $0.value(r)
        for table in [d, e, f, last] { $0.buffer(table) }
      }
    } else {
      let plan = try share(&r, isBackward: false, phases: Int(r.steps) + 2, weight: b)
      defer { withExtendedLifetime(plan) {} }
      let packed = try buffer(plan.packed)
      let marks = try plan.marks.map { try buffer($0) }
      try runtime.launch(marks == nil ? .recurrent_forward : .recurrent_forward_team, plan.size) {
        $0.value(r)
        for table in [a, b, packed, c, d, i, e, f, g, h, last] { $0.buffer(table) }
        if let marks { $0.buffer(marks) }
      }
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
    // The gradients of a GRU's product are kept until a step has gone back, its candidate's for the weight.
    let isReset = recurrence.cell == .gru
    let products = isReset ? try temporary([shape[1], gateWidth]) : dgates
    let reset = isReset ? try temporary([flat[0], shape[2]]) : nil
    let previous = try temporary([flat[0], shape[2]])
    let (dhn, dcn) = (try denseInput(it.dhn), try it.dcn.map { try denseInput($0) })
    // Sums over the steps of each row.
    let sums = try it.dbias.map { _ in try temporary([shape[1], gateWidth]) }
    let operands = [
      weight, y, h0, dy, saved, c0, lengths, dgates, dh, dc, products, reset, previous, dhn, dcn,
      sums,
    ]
    defer { withExtendedLifetime(operands) {} }
    (r.weightAt, r.yAt, r.h0At) = (try start(weight), try start(y), try start(h0))
    (r.dyAt, r.dgatesAt, r.dhAt) = (try start(dy), try start(dgates), try start(dh))
    r.savedAt = try saved.map { try start($0) } ?? 0
    r.c0At = try c0.map { try start($0) } ?? 0
    r.lengthsAt = try lengths.map { try start($0) } ?? 0
    r.dcAt = try dc.map { try start($0) } ?? 0
    r.dhnAt = try start(dhn)
    r.dcnAt = try dcn.map { try start($0) } ?? 0

    let tables = try [h0, c0 ?? h0, lengths ?? h0, y, saved ?? y, dy].map { try buffer($0) }
    let results = try [
      dh, dc ?? dh, dgates, products, reset ?? products, previous, sums ?? dh,
    ].map { try buffer($0) }
    let matrix = try buffer(weight)
    if runtime.isGPU {
      try copy(dhn, to: dh)
      if let dcn, let dc { try copy(dcn, to: dc) }
      if let sums { try fill(0, sums) }
      let size = groupSize(r)
      let productsAt = try start(products)
      for step in recurrence.steps(shape[0]).reversed() where it.y.count > 0 {
        let t = Int32(truncatingIfNeeded: step)
        try runtime.launch(.recurrent_gradient, size) {
          $0.value(r)
          $0.value(t)
          for table in tables + results { $0.buffer(table) }
        }
        try runtime.launch(.recurrent_state, size) {
          $0.value(r)
          $0.value(t)
          $0.buffer(matrix)
          $0.buffer(tables[2])
          $0.buffer(results[3])
          $0.value(productsAt)
          $0.buffer(results[0])
        }
      }
    } else if dh.count > 0 {
      let ends = try [dhn, dcn ?? dhn].map { try buffer($0) }
      let plan = try share(&r, isBackward: true, phases: 2 * Int(r.steps) + 1, weight: matrix)
      defer { withExtendedLifetime(plan) {} }
      let packed = try buffer(plan.packed)
      let marks = try plan.marks.map { try buffer($0) }
      try runtime.launch(marks == nil ? .recurrent_backward : .recurrent_backward_team, plan.size) {
        $0.value(r)
        for table in [matrix, packed] + tables + ends + results { $0.buffer(table) }
        if let marks { $0.buffer(marks) }
      }
    }
    for (inputs, output) in it.weightProducts(dgates, reset: reset, previous: previous) {
      try enqueue(.gemm, inputs, [output])
    }
    if let dbias = it.dbias, let sums {
      let row = dbias.with(
        Layout(
          shape: [1, gateWidth], strides: [0, dbias.layout.strides[0]],
          offset: dbias.layout.offset))
      try reduce(.sum, axes: [0], sums, row)
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

  /// How a pass on a processor is launched.
  private struct CPUPlan {
    var size: LaunchSize
    /// Room for the panels of the weight, once or for each work-item.
    var packed: Operand
    /// Of a team.
    var marks: Operand?
  }

  /// How the work is shared: a part of the rows for each unit of the device; or blocks of units of the
  /// state for the work-items of a team, which want marks.
  private func share(
    _ r: inout RecurrentArguments, isBackward: Bool, phases: Int, weight: cl_mem
  ) throws -> CPUPlan {
    let byGates = !isBackward && r.cell >= 2
    r.vectors = byGates ? r.gates : 4
    let compute = max(runtime.description.computeUnits, 1)
    let (rows, width) = (Int(r.rows), Int(r.width))
    let units = byGates ? 16 : 64
    let panels = (width + units - 1) / units
    let panel = (isBackward ? Int(r.gates) : 1) * width * Int(r.vectors) * 16
    _ = try index(panels * panel)
    // Two blocks for each work-item: one may be left to another that is late, and few are counted.
    let usualEach = (panels + 2 * compute - 1) / (2 * compute)
    let canTeam = compute > 1 && panels > 1 && rows <= 48
    // Forward, the cells of a step give the others time to come, and more rows than that gain.
    let fewRows = (byGates ? 24 : 8) * compute
    let isTeam =
      canTeam && rows < fewRows && rows * width * width * Int(r.gates) >= 1 << 15
    // Panels of a block for a team; 0 for parts of the rows.
    let choice = tuned(
      TuningKey(
        operation: isBackward ? "recurrenceBackward" : "recurrence",
        sizes: [Int(r.cell), Int(r.steps), rows, width])
    ) {
      let blocks = canTeam ? Set([1, 2, usualEach, (panels + compute - 1) / compute]) : []
      return blocks.union([0]).subtracting([isTeam ? usualEach : 0]).sorted().map {
        TuningCandidate([$0], isAlike: ($0 > 0) == isTeam)
      }
    }?.first
    if canTeam, choice.map({ $0 > 0 }) ?? isTeam {
      let each = min(choice ?? usualEach, panels)
      let blocks = (panels + each - 1) / each
      r.blockUnits = Int32(truncatingIfNeeded: each * units)
      _ = try index(phases * blocks)
      // `MARK_STEP` words apart.
      let marks = try temporary([16 * (1 + blocks)], .int32)
      try fill(0, marks)
      return CPUPlan(
        size: LaunchSize(min(compute, blocks)), packed: try temporary([panels, panel]),
        marks: marks)
    }
    let items = min(compute, rows)
    // Copies may take 64 MB.
    r.hasCopies = items * panels * panel <= 1 << 24 ? 1 : 0
    let packed = try temporary([r.hasCopies == 1 ? items : 1, panels, panel])
    if r.hasCopies == 0 && r.steps > 0 {
      let (arguments, target) = (r, try buffer(packed))
      try runtime.launch(.recurrent_pack, LaunchSize(panels)) {
        $0.value(arguments)
        $0.value(Int32(isBackward ? 1 : 0))
        $0.buffer(weight)
        $0.buffer(target)
      }
    }
    return CPUPlan(size: LaunchSize(items), packed: packed, marks: nil)
  }
}

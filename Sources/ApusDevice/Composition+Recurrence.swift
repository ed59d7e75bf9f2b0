extension Backend {
  func composeRecurrence(_ command: Command, _ recurrence: Recurrence) throws {
    let it = Recurrence.Forward(command, recurrence)
    let width = it.h0.shape[1]
    var (h, c) = (it.h0, it.c0)
    for t in recurrence.steps(it.y.shape[0]) {
      let mask = try mask(of: it.lengths, step: t, width: width)
      var product = try product(h, it.weight.with(it.weight.layout.permuted([1, 0])))
      if let bias = it.bias {
        product = try binary(.add, product, bias.broadcast(to: product.shape))
      }
      func input(_ gate: Int) -> Operand { it.gates.block(step: t, gate, width) }
      let sums = product
      func recurrent(_ gate: Int) -> Operand { sums.block(gate, width) }
      func gate(_ index: Int, _ function: UnaryOp) throws -> Operand {
        try unary(function, try binary(.add, input(index), recurrent(index)))
      }
      var kept: [Operand] = []
      let next: Operand
      switch recurrence.cell {
      case .tanh: next = try gate(0, .tanh)
      case .relu: next = try gate(0, .relu)
      case .lstm:
        let (i, f) = (try gate(0, .sigmoid), try gate(1, .sigmoid))
        let (g, o) = (try gate(2, .tanh), try gate(3, .sigmoid))
        let carried = try binary(.multiply, f, c ?? h)
        let cell = try binary(.add, carried, try binary(.multiply, i, g))
        next = try binary(.multiply, o, try unary(.tanh, cell))
        kept = [i, f, g, o, cell]
        c = try select(mask, cell, c ?? h)
      case .gru:
        let (r, z) = (try gate(0, .sigmoid), try gate(1, .sigmoid))
        let n = try unary(
          .tanh, try binary(.add, input(2), try binary(.multiply, r, recurrent(2))))
        // (1 − z) n + z h as n + z (h − n).
        next = try binary(.add, n, try binary(.multiply, z, try binary(.subtract, h, n)))
        kept = [r, z, n, recurrent(2)]
      }
      try copy(try select(mask, next, nil), to: it.y.block(step: t, 0, width))
      h = try select(mask, next, h)
      guard let saved = it.saved else { continue }
      for (index, values) in kept.enumerated() {
        try copy(try select(mask, values, nil), to: saved.block(step: t, index, width))
      }
    }
    try copy(h, to: it.hn)
    if let cn = it.cn, let c { try copy(c, to: cn) }
  }

  // MARK: Shared by both passes

  /// Which rows take part in a step, `bool[B, width]`; nil for all.
  func mask(of lengths: Operand?, step: Int, width: Int) throws -> Operand? {
    guard let lengths else { return nil }
    let rows = lengths.shape[0]
    let now = try temporary([], .int32)
    try enqueue(.fill(Double(step)), [], [now])
    let flags = try temporary([rows], .bool)
    try enqueue(.compare(.less), [now.broadcast(to: [rows]), lengths], [flags])
    return flags.asColumn.broadcast(to: [rows, width])
  }

  /// `mask ? a : b`, with zeros for a `b` of nil and `a` itself without a mask.
  func select(_ mask: Operand?, _ a: Operand, _ b: Operand?) throws -> Operand {
    guard let mask else { return a }
    var other = b
    if other == nil {
      let zero = try temporary([], a.dtype)
      try enqueue(.fill(0), [], [zero])
      other = zero.broadcast(to: a.shape)
    }
    let out = try temporary(a.shape, a.dtype)
    try enqueue(.ternary(.select), [mask, a, other ?? a], [out])
    return out
  }

  /// The product of two matrices.
  func product(_ a: Operand, _ b: Operand) throws -> Operand {
    func batched(_ x: Operand) -> Operand {
      x.with(
        Layout(
          shape: [1] + x.shape, strides: [0] + x.layout.strides, offset: x.layout.offset))
    }
    let out = try temporary([1, a.shape[0], b.shape[1]], a.dtype)
    try enqueue(.gemm, [batched(a), batched(b)], [out])
    return out.viewed([a.shape[0], b.shape[1]])
  }
}

extension Operand {
  /// Columns `index · width ..< (index + 1) · width` of `[B, N]`.
  func block(_ index: Int, _ width: Int) -> Operand {
    with(layout.sliced(axis: 1, start: index * width, length: width))
  }

  /// The same of one step of `[T, B, N]`.
  func block(step: Int, _ index: Int, _ width: Int) -> Operand {
    with(
      Layout(
        shape: Array(layout.shape[1...]), strides: Array(layout.strides[1...]),
        offset: layout.offset + step * layout.strides[0])
    ).block(index, width)
  }
}

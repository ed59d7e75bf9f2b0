extension Backend {
  func composeRecurrenceBackward(_ command: Command, _ recurrence: Recurrence) throws {
    let it = Recurrence.Backward(command, recurrence)
    let (steps, rows, width) = (it.y.shape[0], it.y.shape[1], it.y.shape[2])
    let gates = recurrence.gateCount * width
    let previous = try temporary([steps, rows, width], it.y.dtype)
    // The gradient of the recurrent product; for a GRU it is not that of `gates`.
    let products = try temporary([steps, rows, gates], it.y.dtype)
    var (dh, dc) = (it.dhn, it.dcn)
    for t in recurrence.steps(steps).reversed() {
      let mask = try mask(of: it.lengths, step: t, width: width)
      let before = try state(before: t, it.y, 0, it.h0, it.lengths, recurrence)
      try copy(before, to: previous.block(step: t, 0, width))
      let total = try binary(.add, it.dy.block(step: t, 0, width), dh)
      func saved(_ index: Int) -> Operand { (it.saved ?? it.y).block(step: t, index, width) }
      /// `Π factors · f′`, by the output of `f`.
      func through(_ function: UnaryOp, _ output: Operand, _ factors: Operand...) throws -> Operand
      {
        let out = try temporary(output.shape, output.dtype)
        let product = try factors.dropFirst().reduce(factors[0]) { try binary(.multiply, $0, $1) }
        try enqueue(.unaryBackward(function), [output, product], [out])
        return out
      }
      var parts: [Operand]
      var recurrent: [Operand]?
      var carried: Operand?
      switch recurrence.cell {
      case .tanh: parts = [try through(.tanh, it.y.block(step: t, 0, width), total)]
      case .relu: parts = [try through(.relu, it.y.block(step: t, 0, width), total)]
      case .lstm:
        let (i, f, g, o) = (saved(0), saved(1), saved(2), saved(3))
        let squashed = try unary(.tanh, saved(4))
        let cell = try binary(.add, dc ?? dh, try through(.tanh, squashed, total, o))
        let cellBefore = try state(
          before: t, it.saved ?? it.y, 4, it.c0 ?? it.h0, it.lengths, recurrence)
        parts = [
          try through(.sigmoid, i, cell, g), try through(.sigmoid, f, cell, cellBefore),
          try through(.tanh, g, cell, i), try through(.sigmoid, o, total, squashed),
        ]
        dc = try select(mask, try binary(.multiply, cell, f), dc ?? dh)
      case .gru:
        let (r, z, n, product) = (saved(0), saved(1), saved(2), saved(3))
        let kept = try scalar(.subtract, z, 1, reversed: true)
        let dn = try through(.tanh, n, total, kept)
        let dz = try through(.sigmoid, z, total, try binary(.subtract, before, n))
        parts = [try through(.sigmoid, r, dn, product), dz, dn]
        recurrent = [parts[0], dz, try binary(.multiply, dn, r)]
        carried = try binary(.multiply, total, z)
      }
      for (index, part) in parts.enumerated() {
        try copy(try select(mask, part, nil), to: it.dgates.block(step: t, index, width))
        try copy(
          try select(mask, recurrent?[index] ?? part, nil),
          to: products.block(step: t, index, width))
      }
      let back = try product(products.block(step: t, 0, gates), it.weight)
      dh = try select(mask, try carried.map { try binary(.add, back, $0) } ?? back, dh)
    }
    let flat = products.viewed([steps * rows, gates])
    let transposed = flat.with(flat.layout.permuted([1, 0]))
    try copy(
      try product(transposed, previous.viewed([steps * rows, width])), to: it.dweight)
    if let dbias = it.dbias {
      try copy(try reduce(.sum, flat, axes: [0]).viewed([gates]), to: dbias)
    }
    try copy(dh, to: it.dh0)
    if let dc0 = it.dc0, let dc { try copy(dc, to: dc0) }
  }

  /// The state a step began with: block `index` of the step before it in `table`, or `initial` where
  /// it was a row's first.
  private func state(
    before t: Int, _ table: Operand, _ index: Int, _ initial: Operand, _ lengths: Operand?,
    _ recurrence: Recurrence
  ) throws -> Operand {
    let earlier = recurrence.isReversed ? t + 1 : t - 1
    guard earlier >= 0, earlier < table.shape[0] else { return initial }
    let width = initial.shape[1]
    let values = table.block(step: earlier, index, width)
    // A reversed pass over a shorter row began after the other rows.
    let mask = recurrence.isReversed ? try mask(of: lengths, step: earlier, width: width) : nil
    return try select(mask, values, initial)
  }
}

extension Backend {
  func composeMaxPool(_ command: Command, _ window: Window) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard out.count > 0 else { return }
    let output = out.shape
    let area = window.height * window.width
    let frame = try framed(x, window, output: output, with: -.infinity)
    let windows = try windows(of: frame, window, output: output)

    // The index of each pixel in its plane, −1 in the frame: one plane serves all.
    let planeShape = [1, 1, frame.shape[2], frame.shape[3]]
    var indices = [Int](repeating: -1, count: frame.shape[2] * frame.shape[3])
    for row in 0..<x.shape[2] {
      for column in 0..<x.shape[3] {
        let at = (window.top + row) * frame.shape[3] + window.left + column
        indices[at] = row * x.shape[3] + column
      }
    }
    let plane = try table(indices, planeShape)
    let choices = try self.windows(of: plane, window, output: output)
      .broadcast(to: output + [area])

    // The first pixel of the window, not of the frame, that equals the largest or is NaN.
    let largest = try reduce(.maximum, windows, axes: [4])
    func flags(_ op: ComparisonOp, _ a: Operand, _ b: Operand) throws -> Operand {
      let result = try temporary(windows.shape, .bool)
      try enqueue(.compare(op), [a, b], [result])
      return result
    }
    let equals = try flags(.equal, windows, largest.broadcast(to: windows.shape))
    let zero = try table([0], [])
    let isInside = try flags(.greaterOrEqual, choices, zero.broadcast(to: windows.shape))
    let isChosen = try binary(
      .logicalAnd, isInside, try binary(.logicalOr, equals, try unary(.isNaN, windows)))
    let scores = try temporary(windows.shape)
    try copy(isChosen, to: scores)
    let first = try temporary(largest.shape, .int32)
    try enqueue(.argReduce(.maximum, axis: 4), [scores], [first])

    let values = try temporary(largest.shape, x.dtype)
    try enqueue(.gather(axis: 4), [windows, first], [values])
    try copy(values.viewed(output), to: out)
    if command.outputs.count > 1 {
      let positions = try temporary(largest.shape, .int32)
      try enqueue(.gather(axis: 4), [choices, first], [positions])
      try copy(positions.viewed(output), to: command.outputs[1])
    }
  }

  func composeMaxPoolBackward(_ command: Command) throws {
    let (dy, indices, dx) = (command.inputs[0], command.inputs[1], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    let planes = dy.shape[0] * dy.shape[1]
    let small = [planes, dy.shape[2] * dy.shape[3]]
    let zeros = try temporary([planes, dx.shape[2] * dx.shape[3]], dy.dtype)
    try enqueue(.fill(0), [], [zeros])
    let sum = try temporary(zeros.shape, dy.dtype)
    try enqueue(
      .scatterAdd(axis: 1), [zeros, try dense(indices).viewed(small), try dense(dy).viewed(small)],
      [sum])
    try copy(sum.viewed(dx.shape), to: dx)
  }

  func composeAveragePool(_ command: Command, _ window: Window, _ countsPadding: Bool) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard out.count > 0 else { return }
    let frame = try framed(x, window, output: out.shape, with: 0)
    let windows = try windows(of: frame, window, output: out.shape)
    let sum = try reduce(.sum, windows, axes: [4]).viewed(out.shape)
    let counts = try counts(window, countsPadding, x.shape, out.shape, x.dtype)
    try copy(try binary(.divide, sum, counts), to: out)
  }

  func composeAveragePoolBackward(
    _ command: Command, _ window: Window, _ countsPadding: Bool
  ) throws {
    let (dy, dx) = (command.inputs[0], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    let counts = try counts(window, countsPadding, dx.shape, dy.shape, dy.dtype)
    let share = try binary(.divide, dy, counts)
    let frame = try temporary(window.framed(dx.shape, output: dy.shape), dy.dtype)
    try enqueue(.fill(0), [], [frame])
    try addWindows(to: frame, window, output: dy.shape) { _, _ in share }
    try copy(frame.with(window.interior(of: frame.layout, dx.shape)), to: dx)
  }

  func composeAdaptiveAveragePool(_ command: Command) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard out.count > 0 else { return }
    var sum = x
    for axis in 2...3 {
      var shape = sum.shape
      shape[axis] = out.shape[axis]
      let next = try temporary(shape, x.dtype)
      for (i, range) in adaptiveRanges(x.shape[axis], out.shape[axis]).enumerated() {
        let part = sum.with(
          sum.layout.sliced(axis: axis, start: range.lowerBound, length: range.count))
        try copy(
          try reduce(.sum, part, axes: [axis]),
          to: next.with(next.layout.sliced(axis: axis, start: i, length: 1)))
      }
      sum = next
    }
    try copy(try binary(.divide, sum, try adaptiveCounts(x.shape, out.shape, x.dtype)), to: out)
  }

  func composeAdaptiveAveragePoolBackward(_ command: Command) throws {
    let (dy, dx) = (command.inputs[0], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    var share = try binary(.divide, dy, try adaptiveCounts(dx.shape, dy.shape, dy.dtype))
    for axis in 2...3 {
      var shape = share.shape
      shape[axis] = dx.shape[axis]
      let next = try temporary(shape, dy.dtype)
      try enqueue(.fill(0), [], [next])
      for (i, range) in adaptiveRanges(dx.shape[axis], dy.shape[axis]).enumerated() {
        let met = next.with(
          next.layout.sliced(axis: axis, start: range.lowerBound, length: range.count))
        let part = share.with(share.layout.sliced(axis: axis, start: i, length: 1))
        try copy(try binary(.add, met, part), to: met)
      }
      share = next
    }
    try copy(share, to: dx)
  }

  /// Copies of all windows: `[N, C, OH, OW, KH · KW]`.
  private func windows(of frame: Operand, _ window: Window, output: [Int]) throws -> Operand {
    let view = window.windows(of: frame.layout, output: output)
    let copies = try temporary(view.shape, frame.dtype)
    try copy(frame.with(view), to: copies)
    return copies.viewed(Array(view.shape[..<4]) + [window.height * window.width])
  }

  /// What the sum of each window is divided by, seen as the output.
  private func counts(
    _ window: Window, _ countsPadding: Bool, _ input: [Int], _ output: [Int], _ dtype: DType
  ) throws -> Operand {
    func counts(
      _ output: Int, _ stride: Int, _ kernel: Int, _ dilation: Int, _ before: Int, _ extent: Int,
      _ after: Int
    ) -> [Int] {
      let counted = countsPadding ? -before..<extent + after : 0..<extent
      return (0..<output).map { o in
        (0..<kernel).count { counted.contains(o * stride - before + $0 * dilation) }
      }
    }
    let rows = counts(
      output[2], window.strideHeight, window.height, window.dilationHeight, window.top, input[2],
      window.bottom)
    let columns = counts(
      output[3], window.strideWidth, window.width, window.dilationWidth, window.left, input[3],
      window.right)
    return try areas(rows, columns, dtype).broadcast(to: output)
  }

  private func adaptiveCounts(_ input: [Int], _ output: [Int], _ dtype: DType) throws -> Operand {
    try areas(
      adaptiveRanges(input[2], output[2]).map(\.count),
      adaptiveRanges(input[3], output[3]).map(\.count), dtype
    ).broadcast(to: output)
  }

  private func areas(_ rows: [Int], _ columns: [Int], _ dtype: DType) throws -> Operand {
    try table(
      rows.flatMap { row in columns.map { Double(row * $0) } }, [rows.count, columns.count], dtype)
  }

  /// The part of an axis that each output position averages.
  private func adaptiveRanges(_ input: Int, _ output: Int) -> [Range<Int>] {
    (0..<output).map { $0 * input / output..<(($0 + 1) * input + output - 1) / output }
  }
}

extension Upsampling {
  /// For each position of an output axis the two input positions it lies between, and the share of
  /// the second (0 for the nearest one).
  ///
  /// - Parameter axis: 2 for rows, 3 for columns.
  public func sources(axis: Int, input: Int, output: Int)
    -> [(first: Int, second: Int, share: Double)]
  {
    let scale = axis == 2 ? scale?.height : scale?.width
    let ratio = scale.map { 1 / $0 } ?? Double(input) / Double(output)
    return (0..<output).map { i in
      if mode == .nearest {
        let source =
          scale == nil
          ? i * input / output : min(Int((Float(i) * Float(ratio)).rounded(.down)), input - 1)
        return (source, source, 0)
      }
      let position =
        if alignsCorners {
          output > 1 ? Double(i) * Double(input - 1) / Double(output - 1) : 0
        } else {
          max((Double(i) + 0.5) * ratio - 0.5, 0)
        }
      let first = min(Int(position), input - 1)
      return (first, min(first + 1, input - 1), position - Double(first))
    }
  }
}

extension Backend {
  /// One axis after the other: `x[first] · (1 − share) + x[second] · share`.
  func composeUpsample(_ command: Command, _ upsampling: Upsampling) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard out.count > 0 else { return }
    var result = x
    for axis in 2...3 {
      var shape = result.shape
      shape[axis] = out.shape[axis]
      let sources = upsampling.sources(
        axis: axis, input: x.shape[axis], output: out.shape[axis])
      func taken(_ positions: [Int]) throws -> Operand {
        let part = try temporary(shape, x.dtype)
        try enqueue(.take(axis: axis), [result, try table(positions, [positions.count])], [part])
        return part
      }
      let first = try taken(sources.map(\.first))
      guard upsampling.mode == .bilinear else {
        result = first
        continue
      }
      let second = try taken(sources.map(\.second))
      result = try binary(
        .add, try weighted(first, axis, sources.map { 1 - $0.share }),
        try weighted(second, axis, sources.map(\.share)))
    }
    try copy(result, to: out)
  }

  func composeUpsampleBackward(_ command: Command, _ upsampling: Upsampling) throws {
    let (dy, dx) = (command.inputs[0], command.outputs[0])
    guard dy.count > 0 else { return try clear(command.outputs) }
    var result = dy
    for axis in 2...3 {
      var shape = result.shape
      shape[axis] = dx.shape[axis]
      let sources = upsampling.sources(
        axis: axis, input: dx.shape[axis], output: dy.shape[axis])
      func added(_ part: Operand, _ positions: [Int], to sum: Operand) throws -> Operand {
        let next = try temporary(shape, dy.dtype)
        let table = try table(positions, [positions.count])
        try enqueue(.indexAdd(axis: axis), [sum, table, part], [next])
        return next
      }
      let zeros = try temporary(shape, dy.dtype)
      try enqueue(.fill(0), [], [zeros])
      guard upsampling.mode == .bilinear else {
        result = try added(result, sources.map(\.first), to: zeros)
        continue
      }
      let first = try weighted(result, axis, sources.map { 1 - $0.share })
      let second = try weighted(result, axis, sources.map(\.share))
      result = try added(
        second, sources.map(\.second), to: added(first, sources.map(\.first), to: zeros))
    }
    try copy(result, to: dx)
  }

  /// `x` times a factor for each position of an axis.
  private func weighted(_ x: Operand, _ axis: Int, _ factors: [Double]) throws -> Operand {
    let table = try table(factors, [factors.count], x.dtype)
    return try binary(.multiply, x, table.along(axis, of: x.shape))
  }
}

import ApusDevice

extension ReferenceBackend {
  func reduce(_ op: ReduceOp, _ axes: [Int], _ x: Operand, _ out: Operand) throws {
    try require(
      x.dtype, in: op == .mean ? DType.arithmetic : DType.arithmetic.union([.int32]), "\(op)")
    let values = try read(x)
    // Which result each element goes to: the dense output repeated along the reduced axes.
    let targets = offsets(of: Layout(contiguous: out.shape).broadcast(to: x.shape))
    var results = [Double?](repeating: nil, count: out.count)
    for (value, target) in zip(values, targets) {
      guard let sofar = results[target] else {
        results[target] = value
        continue
      }
      switch op {
      case .sum, .mean: results[target] = sofar + value
      case .maximum: results[target] = value > sofar || value.isNaN ? value : sofar
      case .minimum: results[target] = value < sofar || value.isNaN ? value : sofar
      }
      // Once NaN, always NaN: comparisons with it are false.
    }
    let length = axes.reduce(1.0) { $0 * Double(x.shape[$1]) }
    try write(
      results.map { result in
        switch op {
        case .mean: (result ?? 0) / length
        case .sum where x.dtype == .int32: wrapped(result ?? 0)
        default: result ?? 0
        }
      }, to: out)
  }

  func argReduce(_ op: ArgReduceOp, _ axis: Int, _ x: Operand, _ out: Operand) throws {
    try require(x.dtype, in: DType.arithmetic.union([.int32]), "arg\(op)")
    let values = try read(x)
    let lines = Lines(x.shape, axis)
    var best = [Double](repeating: 0, count: out.count)
    for line in 0..<lines.count {
      for position in 1..<max(lines.extent, 1) {
        let value = values[lines.index(line, position)]
        let leader = values[lines.index(line, Int(best[line]))]
        if leader.isNaN { break }
        if value.isNaN || (op == .maximum ? value > leader : value < leader) {
          best[line] = Double(position)
        }
      }
    }
    try write(best, to: out)
  }

  func cumulativeSum(_ axis: Int, _ x: Operand, _ out: Operand) throws {
    try require(x.dtype, in: DType.arithmetic.union([.int32]), "cumulativeSum")
    var values = try read(x)
    let lines = Lines(x.shape, axis)
    for line in 0..<lines.count {
      var sum = 0.0
      for position in 0..<lines.extent {
        sum += values[lines.index(line, position)]
        values[lines.index(line, position)] = x.dtype == .int32 ? wrapped(sum) : sum
      }
    }
    try write(values, to: out)
  }

  /// Sorts along the axis and keeps as many elements as `out` holds there.
  func sort(
    _ axis: Int, _ descending: Bool, _ x: Operand, _ out: Operand, _ indices: Operand
  ) throws {
    try require(x.dtype, in: DType.arithmetic.union([.int32]), "sort")
    let values = try read(x)
    let (lines, kept) = (Lines(x.shape, axis), Lines(out.shape, axis))
    var sorted = [Double](repeating: 0, count: out.count)
    var positions = sorted
    for line in 0..<kept.count {
      let order = (0..<lines.extent).sorted { a, b in
        let (u, v) = (values[lines.index(line, a)], values[lines.index(line, b)])
        if isLarger(u, than: v) { return descending }
        if isLarger(v, than: u) { return !descending }
        return a < b
      }
      for position in 0..<kept.extent {
        sorted[kept.index(line, position)] = values[lines.index(line, order[position])]
        positions[kept.index(line, position)] = Double(order[position])
      }
    }
    try write(sorted, to: out)
    try write(positions, to: indices)
  }

  /// `a[B, M, K] · b[B, K, N]`.
  func gemm(_ a: Operand, _ b: Operand, _ out: Operand) throws {
    try require(a.dtype, in: DType.arithmetic, "gemm")
    let (left, right) = (try read(a), try read(b))
    let (batches, m, n, k) = (out.shape[0], out.shape[1], out.shape[2], a.shape[2])
    var result = [Double](repeating: 0, count: batches * m * n)
    for batch in 0..<batches {
      for i in 0..<m {
        for l in 0..<k {
          let factor = left[(batch * m + i) * k + l]
          for j in 0..<n {
            result[(batch * m + i) * n + j] += factor * right[(batch * k + l) * n + j]
          }
        }
      }
    }
    try write(result, to: out)
  }
}

/// NaN is larger than every number.
private func isLarger(_ a: Double, than b: Double) -> Bool { a.isNaN ? !b.isNaN : a > b }

/// A dense tensor cut in lines along one axis; line `l` is the `l`-th element of the tensor without
/// that axis.
struct Lines {
  let extent: Int
  let inner: Int
  let count: Int

  init(_ shape: [Int], _ axis: Int) {
    extent = shape[axis]
    inner = shape[(axis + 1)...].reduce(1, *)
    count = shape[..<axis].reduce(1, *) * inner
  }

  /// The row-major index of an element.
  func index(_ line: Int, _ position: Int) -> Int {
    (line / inner * extent + position) * inner + line % inner
  }
}

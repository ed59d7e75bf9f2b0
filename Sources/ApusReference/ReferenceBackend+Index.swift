import ApusDevice

extension ReferenceBackend {
  func take(_ axis: Int, _ x: Operand, _ indices: Operand, _ out: Operand) throws {
    let (values, chosen) = (try read(x), try positions(indices, x.shape[axis], "take"))
    let (from, to) = (Lines(x.shape, axis), Lines(out.shape, axis))
    var result = [Double](repeating: 0, count: out.count)
    for line in 0..<to.count {
      for (i, position) in chosen.enumerated() {
        result[to.index(line, i)] = values[from.index(line, position)]
      }
    }
    try write(result, to: out)
  }

  func indexAdd(_ axis: Int, _ inputs: [Operand], _ out: Operand) throws {
    let (x, indices, source) = (inputs[0], inputs[1], inputs[2])
    try require(x.dtype, in: DType.arithmetic.union([.int32]), "indexAdd")
    var result = try read(x)
    let added = try read(source)
    let chosen = try positions(indices, x.shape[axis], "indexAdd")
    let (from, to) = (Lines(source.shape, axis), Lines(x.shape, axis))
    for line in 0..<from.count {
      for (i, position) in chosen.enumerated() {
        let target = to.index(line, position)
        let sum = result[target] + added[from.index(line, i)]
        result[target] = x.dtype == .int32 ? wrapped(sum) : sum
      }
    }
    try write(result, to: out)
  }

  func gather(_ axis: Int, _ x: Operand, _ indices: Operand, _ out: Operand) throws {
    let (values, chosen) = (try read(x), try positions(indices, x.shape[axis], "gather"))
    let targets = partners(of: indices.shape, in: x.shape, axis)
    let step = Lines(x.shape, axis).inner
    try write(zip(targets, chosen).map { values[$0 + $1 * step] }, to: out)
  }

  func scatterAdd(_ axis: Int, _ inputs: [Operand], _ out: Operand) throws {
    let (x, indices, source) = (inputs[0], inputs[1], inputs[2])
    try require(x.dtype, in: DType.arithmetic.union([.int32]), "scatterAdd")
    var result = try read(x)
    let added = try read(source)
    let chosen = try positions(indices, x.shape[axis], "scatterAdd")
    let targets = partners(of: indices.shape, in: x.shape, axis)
    let step = Lines(x.shape, axis).inner
    for i in added.indices {
      let target = targets[i] + chosen[i] * step
      let sum = result[target] + added[i]
      result[target] = x.dtype == .int32 ? wrapped(sum) : sum
    }
    try write(result, to: out)
  }

  /// For each element of a tensor of shape `small`, the row-major index in a tensor of shape `large`
  /// of the element with the same coordinates off the axis, at 0 along it.
  private func partners(of small: [Int], in large: [Int], _ axis: Int) -> [Int] {
    var strides = Layout.rowMajorStrides(of: large)
    strides[axis] = 0
    return offsets(of: Layout(shape: small, strides: strides, offset: 0))
  }

  /// Indices along an axis of `extent` elements.
  /// - Throws: `ApusError` for the first one out of range.
  private func positions(_ indices: Operand, _ extent: Int, _ operation: String) throws -> [Int] {
    try require(indices.dtype, in: [.int32], operation)
    return try read(indices).map { value in
      let index = Int(value)
      guard (0..<extent).contains(index) else {
        throw ApusError(
          .value, operation: operation,
          """
          index \(index) is out of range for an axis of \(extent) elements; indices run from 0 to \
          \(extent - 1)
          """)
      }
      return index
    }
  }
}

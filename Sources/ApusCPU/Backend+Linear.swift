import ApusDevice
import CVector

extension CPUBackend {
  func gemm(_ a: Operand, _ b: Operand, _ out: Operand) throws {
    for operand in [a, b, out] { try require(.float32, operand, "gemm") }
    let (batch, m, n, k) = (out.shape[0], out.shape[1], out.shape[2], a.shape[2])
    guard batch > 0, m > 0, n > 0 else { return }
    guard k > 0 else { return try fill(0, out) }
    try checkExtents([m, n, k], a, b, out)
    try matrixOperand(a) { a, aBatch in
      try matrixOperand(b) { b, bBatch in
        try withRows(out) { out in
          let (pa, pb, pc) = (try floats(a), try floats(b), try floats(out))
          let batches = out.layout.strides[0]
          for index in 0..<batch {
            guard
              let left = matrix(pa + index * aBatch, a, axis: 1),
              let right = matrix(pb + index * bBatch, b, axis: 1)
            else { continue }
            Product(
              m: m, n: n, k: k, a: left, b: right, c: pc + index * batches,
              cStep: rowStep(out, axis: 1)
            ).run()
          }
        }
      }
    }
  }

  func linear(_ activation: UnaryOp?, _ inputs: [Operand], _ out: Operand) throws {
    let (x, weight) = (inputs[0], inputs[1])
    for operand in inputs { try require(.float32, operand, "linear") }
    let (m, n, k) = (x.shape[0], weight.shape[0], x.shape[1])
    guard m > 0, n > 0 else { return }
    try checkExtents([m, n, k], x, weight, out)
    guard k > 0 else { return try compose(.init(.linear(activation: activation), inputs: inputs, outputs: [out])) }
    let transposed = weight.with(weight.layout.permuted([1, 0]))
    try matrixOperand(x.batchOfOne) { x, _ in
      try matrixOperand(transposed.batchOfOne) { weight, _ in
        try reading(Array(inputs[2...])) { biases in
          try withRows(out) { out in
            guard
              let left = matrix(try floats(x), x, axis: 1),
              let right = matrix(try floats(weight), weight, axis: 1)
            else { return }
            var product = Product(
              m: m, n: n, k: k, a: left, b: right, c: try floats(out),
              cStep: rowStep(out, axis: 0))
            product.bias = try biases.first.map { UnsafePointer(try floats($0)) }
            if let activation {
              product.epilogue = activation.code
            } else if product.bias != nil {
              product.epilogue = (APUS_IDENTITY, apus_parameters())
            }
            product.run()
          }
        }
      }
    }
  }

  func linearActivationBackward(
    _ activation: UnaryOp?, _ y: Operand, _ dy: Operand, _ outputs: [Operand]
  ) throws {
    for operand in [y, dy] { try require(.float32, operand, "linear backward") }
    let (m, n) = (dy.shape[0], dy.shape[1])
    let (code, parameters) = activation?.code ?? (APUS_IDENTITY, apus_parameters())
    // Without an activation `y` is not read.
    let saved = activation == nil || activation?.saved == .nothing ? dy : y
    try reading(saved, dy) { dense in
      try withContiguous(outputs[0]) { dz in
        func run(_ dbias: Operand?) throws {
          let parts = dbias == nil ? 0 : apus_activation_backward_parts(m, n)
          try withScratch(parts > 1 ? parts * n * 4 : 0) {
            apus_activation_backward(
              code, parameters, m, n, try floats(dense[0]), n, try floats(dense[1]), n,
              try floats(dz), n, try dbias.map { try floats($0) },
              $0?.assumingMemoryBound(to: Float.self))
          }
        }
        if outputs.count > 1 {
          try withContiguous(outputs[1]) { try run($0) }
        } else {
          try run(nil)
        }
      }
    }
  }

  // MARK: Operands as BLAS wants them

  /// Extents and steps are 32-bit numbers in BLAS.
  private func checkExtents(_ extents: [Int], _ operands: Operand...) throws {
    let steps = operands.flatMap(\.layout.strides)
    guard extents.allSatisfy({ $0 <= Int(Int32.max) }), steps.allSatisfy({ $0 <= Int(Int32.max) })
    else {
      throw ApusError(
        .shape, operation: "gemm",
        """
        an extent or stride of \(operands.map { "\($0.shape)" }.joined(separator: ", ")) exceeds \
        \(Int32.max); split the operands
        """)
    }
  }

  /// The matrix on axes `axis` and `axis + 1`, if BLAS can read it.
  private func matrix(_ pointer: UnsafePointer<Float>, _ x: Operand, axis: Int) -> Matrix? {
    Matrix(
      pointer, rows: x.shape[axis], columns: x.shape[axis + 1],
      rowStride: x.layout.strides[axis], columnStride: x.layout.strides[axis + 1])
  }

  private func rowStep(_ out: Operand, axis: Int) -> Int {
    out.shape[axis] == 1 ? out.shape[axis + 1] : out.layout.strides[axis]
  }

  /// `[B, R, C]` itself where BLAS can read each matrix, else a contiguous copy; with the step from
  /// matrix to matrix. A batch that is repeated is copied once.
  private func matrixOperand(
    _ x: Operand, _ body: (Operand, Int) throws -> Void
  ) throws {
    if matrix(try floats(x), x, axis: 1) != nil { return try body(x, x.layout.strides[0]) }
    let isRepeated = x.layout.strides[0] == 0
    let one = Layout(
      shape: [isRepeated ? 1 : x.shape[0]] + x.shape[1...], strides: x.layout.strides,
      offset: x.layout.offset)
    try reading(x.with(one)) { try body($0[0], isRepeated ? 0 : x.shape[1] * x.shape[2]) }
  }

  /// `body` on `out` where its rows are dense and apart, else on a temporary.
  private func withRows(_ out: Operand, _ body: (Operand) throws -> Void) throws {
    let rank = out.layout.rank
    let (rows, columns) = (out.shape[rank - 2], out.shape[rank - 1])
    let strides = out.layout.strides
    let isDense =
      (strides[rank - 1] == 1 || columns == 1) && (strides[rank - 2] >= columns || rows == 1)
    if isDense { return try body(out) }
    try withContiguous(out, body)
  }
}

extension Operand {
  fileprivate var batchOfOne: Operand {
    with(Layout(shape: [1] + shape, strides: [0] + layout.strides, offset: layout.offset))
  }
}

import ApusDevice
import CVector

extension CPUBackend {
  func gemm(_ a: Operand, _ b: Operand, _ out: Operand) throws {
    for operand in [a, b, out] { try require(.float32, operand, "gemm") }
    let (batch, m, n, k) = (out.shape[0], out.shape[1], out.shape[2], a.shape[2])
    guard batch > 0, m > 0, n > 0 else { return }
    guard k > 0 else { return try fill(0, out) }
    try checkExtents([m, n, k], a, b, out)
    let (pa, pb) = (try floats(a), try floats(b))
    try withRows(out) { out in
      let pc = try floats(out)
      let first = Product(
        m: m, n: n, k: k, a: a.matrix(pa, axis: 1), b: b.matrix(pb, axis: 1), c: pc,
        cStep: rowStep(out, axis: 1))
      let steps = (a.layout.strides[0], b.layout.strides[0], out.layout.strides[0])
      if batch > 1, let products = SmallProducts(first, count: batch, steps: steps) {
        return products.run()
      }
      for index in 0..<batch {
        try Product(
          m: m, n: n, k: k, a: a.matrix(pa + index * a.layout.strides[0], axis: 1),
          b: b.matrix(pb + index * b.layout.strides[0], axis: 1),
          c: pc + index * out.layout.strides[0], cStep: rowStep(out, axis: 1)
        ).run(on: self)
      }
    }
  }

  func linear(_ activation: UnaryOp?, _ inputs: [Operand], _ out: Operand) throws {
    let (x, weight) = (inputs[0], inputs[1])
    for operand in inputs { try require(.float32, operand, "linear") }
    let (m, n, k) = (x.shape[0], weight.shape[0], x.shape[1])
    guard m > 0, n > 0 else { return }
    try checkExtents([m, n, k], x, weight, out)
    guard k > 0 else {
      return try compose(Command(.linear(activation: activation), inputs: inputs, outputs: [out]))
    }
    let left = x.matrix(try floats(x), axis: 0)
    let right = weight.matrix(try floats(weight), axis: 0)
    try withRows(out) { out in
      var product = Product(
        m: m, n: n, k: k, a: left,
        b: Matrix(
          pointer: right.pointer, rowStep: right.columnStep, columnStep: right.rowStep),
        c: try floats(out), cStep: rowStep(out, axis: 0))
      if let activation {
        product.epilogue = activation.code
      } else if inputs.count > 2 {
        product.epilogue = (APUS_IDENTITY, apus_parameters())
      }
      guard inputs.count > 2 else { return try product.run(on: self) }
      try reading(inputs[2]) {
        product.bias = UnsafePointer(try floats($0[0]))
        try product.run(on: self)
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

  private func rowStep(_ out: Operand, axis: Int) -> Int {
    out.shape[axis] == 1 ? out.shape[axis + 1] : out.layout.strides[axis]
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
  /// The matrix on axes `axis` and `axis + 1`.
  fileprivate func matrix(_ pointer: UnsafePointer<Float>, axis: Int) -> Matrix {
    Matrix(
      pointer: pointer, rowStep: layout.strides[axis], columnStep: layout.strides[axis + 1])
  }
}

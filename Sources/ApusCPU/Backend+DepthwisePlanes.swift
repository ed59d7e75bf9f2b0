import ApusDevice
import CVector

// Depthwise convolutions with stride 1 on operands that lie in planes (NCHW). Each function returns
// whether it was one; else the loops over channels run.

extension CPUBackend {
  func convolutionOfPlanes(
    _ convolution: Convolution, _ activation: UnaryOp?, _ inputs: [Operand], _ out: Operand
  ) throws -> Bool {
    let x = inputs[0]
    guard convolution.keepsPlanes(weight: inputs[1].shape), x.layout.hasDenseRows,
      out.layout.isContiguous
    else { return false }
    let sizes = apus_convolution(convolution, input: x.shape, output: out.shape)
    let code = activation?.code
    try reading(Array(inputs.dropFirst())) { rest in
      try withPlanesScratch(sizes) { sizes, scratch in
        apus_depthwise_planes(
          sizes, try planes(x), try floats(rest[0]), rest.count > 1 ? try floats(rest[1]) : nil,
          rest.count > 2 ? try floats(rest[2]) : nil, code.map { Int32($0.0.rawValue) } ?? -1,
          code?.1 ?? apus_parameters(), try floats(out), scratch)
      }
    }
    return true
  }

  func inputGradientOfPlanes(
    _ convolution: Convolution, _ dy: Operand, _ weight: Operand, _ dx: Operand
  ) throws -> Bool {
    guard convolution.keepsPlanes(weight: weight.shape), isOfPlanes(dy), dx.layout.isContiguous
    else { return false }
    // Nothing of x is read for this gradient.
    try gradientsOfPlanes(convolution, x: dx, dy, weight, dx: dx, [])
    return true
  }

  func weightGradientOfPlanes(
    _ convolution: Convolution, _ x: Operand, _ dy: Operand, _ outputs: [Operand]
  ) throws -> Bool {
    guard convolution.keepsPlanes(weight: outputs[0].shape), x.layout.hasDenseRows, isOfPlanes(dy)
    else { return false }
    try gradientsOfPlanes(convolution, x: x, dy, nil, dx: nil, outputs)
    return true
  }

  /// Both gradients: of planes in one pass, else with `dy` brought into the order of the loops once.
  func convolutionBackward(_ command: Command, _ convolution: Convolution) throws {
    let (x, dy, weight) = (command.inputs[0], command.inputs[1], command.inputs[2])
    let dx = command.outputs[0]
    guard x.count > 0, dy.count > 0, convolution.keepsPlanes(weight: weight.shape),
      x.layout.hasDenseRows, dx.layout.isContiguous
    else { return try compose(command) }
    let rest = Array(command.outputs.dropFirst())
    if isOfPlanes(dy) { return try gradientsOfPlanes(convolution, x: x, dy, weight, dx: dx, rest) }
    try reading(dy) { try gradientsOfPlanes(convolution, x: x, $0[0], weight, dx: dx, rest) }
  }

  /// `weight` is read for the gradient of `x` alone.
  private func gradientsOfPlanes(
    _ convolution: Convolution, x: Operand, _ dy: Operand, _ weight: Operand?, dx: Operand?,
    _ outputs: [Operand]
  ) throws {
    let sizes = apus_convolution(convolution, input: x.shape, output: dy.shape)
    try reading(weight.map { [$0] } ?? []) { weights in
      func run(_ dweight: Operand?, _ dbias: Operand?) throws {
        try withPlanesScratch(sizes) { sizes, scratch in
          apus_depthwise_planes_backward(
            sizes, try planes(x), try planes(dy), try weights.first.map { try floats($0) },
            try dx.map { try floats($0) }, try dweight.map { try floats($0) },
            try dbias.map { try floats($0) }, scratch)
        }
      }
      guard let dweight = outputs.first else { return try run(nil, nil) }
      try withContiguous(dweight) { dweight in
        guard outputs.count > 1 else { return try run(dweight, nil) }
        try withContiguous(outputs[1]) { try run(dweight, $0) }
      }
    }
  }

  private func isOfPlanes(_ dy: Operand) -> Bool {
    dy.layout.hasDenseRows || dy.layout.repeatsPixels
  }

  private func planes(_ x: Operand) throws -> apus_planes {
    let strides = x.layout.strides
    let isDense = x.layout.hasDenseRows
    return apus_planes(
      start: try floats(x), image: strides[0], channel: strides[1], row: isDense ? strides[2] : 0,
      column: isDense ? 1 : 0)
  }

  private func withPlanesScratch(
    _ sizes: apus_convolution,
    _ body: (UnsafePointer<apus_convolution>, UnsafeMutablePointer<Float>) throws -> Void
  ) throws {
    try withUnsafePointer(to: sizes) { sizes in
      try withScratch(apus_depthwise_planes_scratch(sizes)) {
        if let scratch = $0?.assumingMemoryBound(to: Float.self) { try body(sizes, scratch) }
      }
    }
  }
}

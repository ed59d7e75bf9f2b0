// What the bodies of convolutions and pooling share: windows as views of a framed input.

extension Window {
  /// The extents of the input with its padding, and with what the last window hangs over it.
  public func framed(_ input: [Int], output: [Int]) -> [Int] {
    let height = max(top + input[2] + bottom, (output[2] - 1) * strideHeight + spanHeight)
    let width = max(left + input[3] + right, (output[3] - 1) * strideWidth + spanWidth)
    return [input[0], input[1], height, width]
  }

  /// The input inside its frame.
  func interior(of frame: Layout, _ input: [Int]) -> Layout {
    frame.sliced(axis: 2, start: top, length: input[2])
      .sliced(axis: 3, start: left, length: input[3])
  }

  /// Every window of a frame, overlapping: `[N, C, OH, OW, KH, KW]`.
  func windows(of frame: Layout, output: [Int]) -> Layout {
    let (row, column) = (frame.strides[2], frame.strides[3])
    return Layout(
      shape: [frame.shape[0], frame.shape[1], output[2], output[3], height, width],
      strides: [
        frame.strides[0], frame.strides[1], row * strideHeight, column * strideWidth,
        row * dilationHeight, column * dilationWidth,
      ], offset: frame.offset)
  }

  /// The element at `row`, `column` of every window: `[N, C, OH, OW]`, not overlapping.
  func elements(of frame: Layout, output: [Int], row: Int, column: Int) -> Layout {
    let all = windows(of: frame, output: output)
    return Layout(
      shape: Array(all.shape[..<4]), strides: Array(all.strides[..<4]),
      offset: all.offset + row * all.strides[4] + column * all.strides[5])
  }
}

extension Backend {
  /// `x` in a frame of `value`.
  func framed(_ x: Operand, _ window: Window, output: [Int], with value: Double) throws -> Operand {
    let frame = try temporary(window.framed(x.shape, output: output), x.dtype)
    try enqueue(.fill(value), [], [frame])
    try copy(x, to: frame.with(window.interior(of: frame.layout, x.shape)))
    return frame
  }

  /// The adjoint of taking windows: adds `part(row, column)`, `[N, C, OH, OW]`, to the elements that
  /// the kernel's element meets. `frame` is changed.
  func addWindows(
    to frame: Operand, _ window: Window, output: [Int], _ part: (Int, Int) throws -> Operand
  ) throws {
    for row in 0..<window.height {
      for column in 0..<window.width {
        let met = frame.with(
          window.elements(of: frame.layout, output: output, row: row, column: column))
        // By way of a temporary: an element-wise command must not write what it reads.
        try copy(try binary(.add, met, try part(row, column)), to: met)
      }
    }
  }

  /// The operand itself where it is dense, else a copy.
  func dense(_ x: Operand) throws -> Operand {
    if x.layout.isContiguous { return x }
    let out = try temporary(x.shape, x.dtype)
    try copy(x, to: out)
    return out
  }

  /// Numbers of the host as an operand.
  func table(_ values: [Double], _ shape: [Int], _ dtype: DType) throws -> Operand {
    let floats = values.map { Float($0) }
    let out = try temporary(shape)
    try floats.withUnsafeBytes { try upload($0, to: out.storage, byteOffset: 0) }
    guard dtype != .float32 else { return out }
    let wide = try temporary(shape, dtype)
    try copy(out, to: wide)
    return wide
  }

  /// Positions along an axis as an operand.
  func table(_ positions: [Int], _ shape: [Int]) throws -> Operand {
    let narrow = positions.map { Int32(clamping: $0) }
    let out = try temporary(shape, .int32)
    try narrow.withUnsafeBytes { try upload($0, to: out.storage, byteOffset: 0) }
    return out
  }

  /// Zeros in every output: what a batch of no images gives.
  func clear(_ outputs: [Operand]) throws {
    for out in outputs where out.count > 0 { try enqueue(.fill(0), [], [out]) }
  }
}

extension Operand {
  /// One image of a batch, as a batch of one.
  func image(_ index: Int) -> Operand { with(layout.sliced(axis: 0, start: index, length: 1)) }

  /// `[C]` seen as `[N, C, H, W]`.
  func perChannel(of shape: [Int]) -> Operand {
    with(Layout(shape: shape, strides: [0, layout.strides[0], 0, 0], offset: layout.offset))
  }

  /// A vector seen as `shape`, running along one axis.
  func along(_ axis: Int, of shape: [Int]) -> Operand {
    var strides = shape.map { _ in 0 }
    strides[axis] = layout.strides[0]
    return with(Layout(shape: shape, strides: strides, offset: layout.offset))
  }
}

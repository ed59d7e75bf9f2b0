import ApusDevice

extension Tensor {
  /// The mean of each window of images `[N, C, H, W]`.
  /// - Parameters:
  ///   - stride: That of the kernel for nil.
  ///   - padding: Zeros on each side, at most half of the kernel.
  ///   - ceilMode: Whether a last window may hang over the end; that part never counts.
  ///   - countIncludePad: Whether padding enlarges the divisor.
  /// - Returns: `[N, C, OH, OW]`.
  public func avgPool2d(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: (Int, Int) = (0, 0),
    ceilMode: Bool = false, countIncludePad: Bool = true
  ) throws -> Tensor {
    try averagePooled(
      kernelSize, stride ?? kernelSize, padding, ceilMode, countIncludePad, "avgPool2d")
  }

  /// ``avgPool2d(kernelSize:stride:padding:ceilMode:countIncludePad:)`` of sequences `[N, C, L]`.
  public func avgPool1d(
    kernelSize: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false,
    countIncludePad: Bool = true
  ) throws -> Tensor {
    try asRowImages("avgPool1d").averagePooled(
      (1, kernelSize), (1, stride ?? kernelSize), (0, padding), ceilMode, countIncludePad,
      "avgPool1d"
    ).squeezed(axis: 2)
  }

  private func averagePooled(
    _ kernel: (Int, Int), _ stride: (Int, Int), _ padding: (Int, Int), _ ceilMode: Bool,
    _ countsPadding: Bool, _ name: String
  ) throws -> Tensor {
    try ShapeRule.floats([self], name)
    let window = try ShapeRule.window(
      name, kernel: kernel, stride: stride, dilation: (1, 1), top: padding.0, bottom: padding.0,
      left: padding.1, right: padding.1)
    guard padding.0 <= kernel.0 / 2, padding.1 <= kernel.1 / 2 else {
      throw ApusError(
        .value, operation: name,
        "padding (\(padding.0), \(padding.1)) is more than half of the kernel "
          + "(\(kernel.0), \(kernel.1))")
    }
    let output = try ShapeRule.slid(
      window, over: shape, channels: rank == 4 ? shape[1] : 0, ceilMode: ceilMode, name)
    return try pooled(
      .averagePool(window, countsPadding: countsPadding),
      .averagePoolBackward(window, countsPadding: countsPadding), output)
  }

  /// The means of `outputSize` parts of nearly equal size: output row `i` averages input rows
  /// `⌊i · H / OH⌋ ..< ⌈(i + 1) · H / OH⌉`, columns alike. `(1, 1)` is global average pooling.
  /// - Returns: `[N, C, OH, OW]` for `[N, C, H, W]`.
  public func adaptiveAvgPool2d(_ outputSize: (Int, Int)) throws -> Tensor {
    let name = "adaptiveAvgPool2d"
    try ShapeRule.floats([self], name)
    let output = try ShapeRule.resized(shape, to: outputSize, name)
    return try pooled(.adaptiveAveragePool, .adaptiveAveragePoolBackward, output)
  }

  /// A linear map of each plane with its adjoint.
  func pooled(_ forward: Operation, _ backward: Operation, _ output: [Int]) throws -> Tensor {
    let y = try Tensor.featureMap(output, dtype, on: device)
    try device.backend.enqueue(Command(forward, inputs: [operand], outputs: [y.operand]))
    guard let tape = try Tape.watching(self) else { return y }
    let original = shape
    return try tape.record(y, from: [self]) { dy in
      let dx = try Tensor.featureMap(original, dy.dtype, on: dy.device)
      try dy.device.backend.enqueue(
        Command(backward, inputs: [dy.operand], outputs: [dx.operand]))
      return [dx]
    }
  }
}

extension ShapeRule {
  /// `[N, C, OH, OW]` from `[N, C, H, W]`.
  static func resized(_ input: [Int], to size: (Int, Int), _ operation: String) throws -> [Int] {
    guard input.count == 4, input[2] > 0, input[3] > 0 else {
      throw ApusError(
        .shape, operation: operation,
        "takes images [N, C, H, W] that are not empty, not shape \(input)")
    }
    guard size.0 > 0, size.1 > 0, size.0 <= longestWindow, size.1 <= longestWindow,
      input[2] <= longestWindow, input[3] <= longestWindow
    else {
      throw ApusError(
        .value, operation: operation,
        "sizes (\(size.0), \(size.1)) and (\(input[2]), \(input[3])) must lie within "
          + "1...\(longestWindow)")
    }
    let output = [input[0], input[1], size.0, size.1]
    _ = try count(output, operation)
    return output
  }
}

extension Backend {
  /// Runs a fused operation through primitives: the definition of each fused kernel, and what a
  /// device without such a kernel uses.
  public func compose(_ command: Command) throws {
    switch command.operation {
    case .linear(let activation): try composeLinear(command, activation)
    case .linearActivationBackward(let activation):
      try composeLinearActivationBackward(command, activation)
    case .softmax: try composeSoftmax(command, logarithm: false)
    case .logSoftmax: try composeSoftmax(command, logarithm: true)
    case .softmaxBackward: try composeSoftmaxBackward(command)
    case .logSoftmaxBackward: try composeLogSoftmaxBackward(command)
    case .crossEntropy(let smoothing, let ignored):
      try composeCrossEntropy(command, smoothing: smoothing, ignored: ignored)
    case .layerNorm(let epsilon): try composeLayerNorm(command, epsilon: epsilon)
    case .layerNormBackward: try composeLayerNormBackward(command)
    case .dropout(let probability, let key):
      try composeDropout(command, probability: probability, key: key)
    case .sumOfSquares: try composeSumOfSquares(command)
    case .optimizerStep(let step): try composeOptimizerStep(command, step)
    case .convolution(let convolution, let activation):
      try composeConvolution(command, convolution, activation)
    case .convolutionInputGradient(let convolution):
      try composeConvolutionInputGradient(command, convolution)
    case .convolutionWeightGradient(let convolution):
      try composeConvolutionWeightGradient(command, convolution)
    case .convolutionBackward(let convolution):
      try composeConvolutionBackward(command, convolution)
    case .maxPool(let window): try composeMaxPool(command, window)
    case .maxPoolBackward: try composeMaxPoolBackward(command)
    case .averagePool(let window, let countsPadding):
      try composeAveragePool(command, window, countsPadding)
    case .averagePoolBackward(let window, let countsPadding):
      try composeAveragePoolBackward(command, window, countsPadding)
    case .adaptiveAveragePool: try composeAdaptiveAveragePool(command)
    case .adaptiveAveragePoolBackward: try composeAdaptiveAveragePoolBackward(command)
    case .upsample(let upsampling): try composeUpsample(command, upsampling)
    case .upsampleBackward(let upsampling): try composeUpsampleBackward(command, upsampling)
    case .batchNorm(let norm): try composeBatchNorm(command, norm)
    case .batchNormBackward(let norm): try composeBatchNormBackward(command, norm)
    case .batchNormInference(let norm): try composeBatchNormInference(command, norm)
    case .recurrence(let recurrence): try composeRecurrence(command, recurrence)
    case .recurrenceBackward(let recurrence): try composeRecurrenceBackward(command, recurrence)
    default:
      throw ApusError(
        .device, operation: "\(command.operation)",
        "device '\(info.name)' lacks this primitive, and primitives cannot be composed")
    }
  }

  // MARK: Short forms for the bodies; each returns a temporary.

  func unary(_ op: UnaryOp, _ x: Operand) throws -> Operand {
    let out = try temporary(x.shape, op.resultIsBool ? .bool : x.dtype)
    try enqueue(.unary(op), [x], [out])
    return out
  }

  func binary(_ op: BinaryOp, _ a: Operand, _ b: Operand) throws -> Operand {
    let shape = a.shape.count >= b.shape.count && a.count >= b.count ? a.shape : b.shape
    let out = try temporary(shape, a.dtype)
    try enqueue(.binary(op), [a.broadcast(to: shape), b.broadcast(to: shape)], [out])
    return out
  }

  func scalar(_ op: BinaryOp, _ x: Operand, _ value: Double, reversed: Bool = false) throws
    -> Operand
  {
    let out = try temporary(x.shape, x.dtype)
    try enqueue(.scalar(op, value, reversed: reversed), [x], [out])
    return out
  }

  /// Reduces `axes`, keeping them with extent 1.
  func reduce(_ op: ReduceOp, _ x: Operand, axes: [Int]) throws -> Operand {
    var shape = x.shape
    for axis in axes { shape[axis] = 1 }
    let out = try temporary(shape, x.dtype)
    try enqueue(.reduce(op, axes: axes), [x], [out])
    return out
  }

  func copy(_ x: Operand, to out: Operand) throws { try enqueue(.copy, [x], [out]) }
}

extension Operand {
  /// The contiguous operand seen with another shape of the same count.
  func viewed(_ shape: [Int]) -> Operand {
    with(Layout(contiguous: shape, offset: layout.offset))
  }
  /// A column `[R]` seen as `[R, 1]`, whatever its stride.
  var asColumn: Operand {
    with(
      Layout(shape: shape + [1], strides: layout.strides + [1], offset: layout.offset))
  }
}

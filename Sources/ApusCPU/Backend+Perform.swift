import ApusDevice

extension CPUBackend {
  /// Leads a command to the function that carries it out.
  func perform(_ command: Command) throws {
    let inputs = command.inputs
    let outputs = command.outputs
    switch command.operation {
    case .fill(let value): try fill(value, outputs[0])
    case .copy: try copy(inputs[0], outputs[0])
    case .unary(let op): try unary(op, inputs[0], outputs[0])
    case .unaryBackward(let op):
      try unaryBackward(op, inputs[0], inputs[inputs.count - 1], outputs[0])
    case .binary(let op): try binary(op, inputs[0], inputs[1], outputs[0])
    case .scalar(let op, let value, let reversed):
      try scalar(op, value, reversed: reversed, inputs[0], outputs[0])
    case .compare(let op): try compare(op, inputs[0], inputs[1], outputs[0])
    case .ternary(let op): try ternary(op, inputs[0], inputs[1], inputs[2], outputs[0])
    case .reduce(let op, let axes): try reduce(op, axes, inputs[0], outputs[0])
    case .argReduce(let op, let axis): try argReduce(op, axis, inputs[0], outputs[0])
    case .gemm: try gemm(inputs[0], inputs[1], outputs[0])
    case .take(let axis): try take(axis, inputs[0], inputs[1], outputs[0])
    case .indexAdd(let axis): try indexAdd(axis, inputs[0], inputs[1], inputs[2], outputs[0])
    case .gather(let axis): try gather(axis, inputs[0], inputs[1], outputs[0])
    case .scatterAdd(let axis): try scatterAdd(axis, inputs[0], inputs[1], inputs[2], outputs[0])
    case .cumulativeSum(let axis): try cumulativeSum(axis, inputs[0], outputs[0])
    case .sort(let axis, let descending):
      try sort(axis, descending, kept: inputs[0].shape[axis], inputs[0], outputs[0], outputs[1])
    case .topK(let k, let axis, let largest):
      try sort(axis, largest, kept: k, inputs[0], outputs[0], outputs[1])
    case .random(let distribution, let key): try random(distribution, key, outputs[0])
    case .linear(let activation): try linear(activation, inputs, outputs[0])
    case .linearActivationBackward(let activation):
      try linearActivationBackward(activation, inputs[0], inputs[1], outputs)
    case .softmax: try softmax(logarithm: false, inputs[0], outputs[0])
    case .logSoftmax: try softmax(logarithm: true, inputs[0], outputs[0])
    case .softmaxBackward:
      try softmaxBackward(logarithm: false, inputs[0], inputs[1], outputs[0])
    case .logSoftmaxBackward:
      try softmaxBackward(logarithm: true, inputs[0], inputs[1], outputs[0])
    case .crossEntropy(let smoothing, let ignored):
      try crossEntropy(smoothing, ignored, inputs, outputs)
    case .layerNorm(let epsilon): try layerNorm(epsilon, inputs, outputs)
    case .layerNormBackward: try layerNormBackward(inputs, outputs)
    case .dropout(let probability, let key):
      try dropout(probability, key, inputs[0], outputs[0])
    case .sumOfSquares: try sumOfSquares(inputs, outputs[0])
    case .optimizerStep(let step): try optimizerStep(step, inputs, outputs)
    case .convolution, .convolutionInputGradient, .convolutionWeightGradient, .convolutionBackward,
      .maxPool, .maxPoolBackward, .averagePool, .averagePoolBackward, .adaptiveAveragePool,
      .adaptiveAveragePoolBackward, .upsample, .upsampleBackward, .batchNorm, .batchNormBackward,
      .batchNormInference:
      try performImage(command)
    case .recurrence(let recurrence): try self.recurrence(recurrence, command)
    case .recurrenceBackward(let recurrence): try recurrenceBackward(recurrence, command)
    }
  }

  private func performImage(_ command: Command) throws {
    let inputs = command.inputs
    let outputs = command.outputs
    guard inputs[0].dtype == .float32 else { return try compose(command) }
    switch command.operation {
    case .convolution(let convolution, let activation):
      try self.convolution(convolution, activation, inputs, outputs[0])
    case .convolutionInputGradient(let convolution):
      try convolutionInputGradient(convolution, inputs[0], inputs[1], outputs[0])
    case .convolutionWeightGradient(let convolution):
      try convolutionWeightGradient(convolution, inputs[0], inputs[1], outputs)
    case .convolutionBackward(let convolution): try convolutionBackward(command, convolution)
    case .maxPool(let window): try maxPool(window, inputs[0], outputs)
    case .maxPoolBackward(let window):
      try maxPoolBackward(window, inputs[0], inputs[1], outputs[0])
    case .averagePool(let window, let countsPadding):
      try averagePool(window, countsPadding, inputs[0], outputs[0])
    case .averagePoolBackward(let window, let countsPadding):
      try averagePoolBackward(window, countsPadding, inputs[0], outputs[0])
    case .adaptiveAveragePool: try adaptiveAveragePool(inputs[0], outputs[0])
    case .adaptiveAveragePoolBackward: try adaptiveAveragePoolBackward(inputs[0], outputs[0])
    case .upsample(let upsampling): try upsample(upsampling, inputs[0], outputs[0])
    case .upsampleBackward(let upsampling): try upsampleBackward(upsampling, inputs[0], outputs[0])
    case .batchNorm(let norm): try batchNorm(norm, inputs, outputs)
    case .batchNormBackward(let norm): try batchNormBackward(norm, inputs, outputs)
    case .batchNormInference(let norm): try batchNormInference(norm, inputs, outputs[0])
    default: try compose(command)
    }
  }
}

import ApusDevice

// The cases of the seam's enumerations without their payloads. The switches have no default: a new
// case of the seam does not compile here until it is named, and is missing from the coverage until it
// has an `OpCase`.

enum OperationKind: CaseIterable {
  case fill, copy, unary, unaryBackward, binary, scalar, compare, ternary, reduce, argReduce, gemm
  case take, indexAdd, gather, scatterAdd, cumulativeSum, sort, topK, random
  case linear, linearActivationBackward, softmax, logSoftmax, softmaxBackward, logSoftmaxBackward
  case crossEntropy, layerNorm, layerNormBackward, dropout, sumOfSquares, optimizerStep
  case convolution, convolutionInputGradient, convolutionWeightGradient, convolutionBackward
  case maxPool, maxPoolBackward
  case averagePool, averagePoolBackward, adaptiveAveragePool, adaptiveAveragePoolBackward
  case upsample, upsampleBackward, batchNorm, batchNormBackward, batchNormInference
  case recurrence, recurrenceBackward

  init(_ operation: Operation) {
    self =
      switch operation {
      case .fill: .fill
      case .copy: .copy
      case .unary: .unary
      case .unaryBackward: .unaryBackward
      case .binary: .binary
      case .scalar: .scalar
      case .compare: .compare
      case .ternary: .ternary
      case .reduce: .reduce
      case .argReduce: .argReduce
      case .gemm: .gemm
      case .take: .take
      case .indexAdd: .indexAdd
      case .gather: .gather
      case .scatterAdd: .scatterAdd
      case .cumulativeSum: .cumulativeSum
      case .sort: .sort
      case .topK: .topK
      case .random: .random
      case .linear: .linear
      case .linearActivationBackward: .linearActivationBackward
      case .softmax: .softmax
      case .logSoftmax: .logSoftmax
      case .softmaxBackward: .softmaxBackward
      case .logSoftmaxBackward: .logSoftmaxBackward
      case .crossEntropy: .crossEntropy
      case .layerNorm: .layerNorm
      case .layerNormBackward: .layerNormBackward
      case .dropout: .dropout
      case .sumOfSquares: .sumOfSquares
      case .optimizerStep: .optimizerStep
      case .convolution: .convolution
      case .convolutionInputGradient: .convolutionInputGradient
      case .convolutionWeightGradient: .convolutionWeightGradient
      case .convolutionBackward: .convolutionBackward
      case .maxPool: .maxPool
      case .maxPoolBackward: .maxPoolBackward
      case .averagePool: .averagePool
      case .averagePoolBackward: .averagePoolBackward
      case .adaptiveAveragePool: .adaptiveAveragePool
      case .adaptiveAveragePoolBackward: .adaptiveAveragePoolBackward
      case .upsample: .upsample
      case .upsampleBackward: .upsampleBackward
      case .batchNorm: .batchNorm
      case .batchNormBackward: .batchNormBackward
      case .batchNormInference: .batchNormInference
      case .recurrence: .recurrence
      case .recurrenceBackward: .recurrenceBackward
      }
  }
}

enum UnaryKind: CaseIterable {
  case negate, abs, sign, square, exp, expm1, log, log1p, sqrt, rsqrt, reciprocal, sin, cos, tanh
  case erf, floor, ceil, round, sigmoid, relu, silu, leakyReLU, elu, gelu, geluTanh, softplus, clamp
  case logicalNot, isNaN, isFinite

  init(_ op: UnaryOp) {
    self =
      switch op {
      case .negate: .negate
      case .abs: .abs
      case .sign: .sign
      case .square: .square
      case .exp: .exp
      case .expm1: .expm1
      case .log: .log
      case .log1p: .log1p
      case .sqrt: .sqrt
      case .rsqrt: .rsqrt
      case .reciprocal: .reciprocal
      case .sin: .sin
      case .cos: .cos
      case .tanh: .tanh
      case .erf: .erf
      case .floor: .floor
      case .ceil: .ceil
      case .round: .round
      case .sigmoid: .sigmoid
      case .relu: .relu
      case .silu: .silu
      case .leakyReLU: .leakyReLU
      case .elu: .elu
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .softplus: .softplus
      case .clamp: .clamp
      case .logicalNot: .logicalNot
      case .isNaN: .isNaN
      case .isFinite: .isFinite
      }
  }
}

enum RandomKind: CaseIterable {
  case uniform, normal, bernoulli

  init(_ distribution: RandomDistribution) {
    self =
      switch distribution {
      case .uniform: .uniform
      case .normal: .normal
      case .bernoulli: .bernoulli
      }
  }
}

enum RuleKind: CaseIterable {
  case sgd, adam, rmsprop, adagrad

  init(_ rule: OptimizerStep.Rule) {
    self =
      switch rule {
      case .sgd: .sgd
      case .adam: .adam
      case .rmsprop: .rmsprop
      case .adagrad: .adagrad
      }
  }
}

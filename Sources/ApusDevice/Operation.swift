/// What a device can be asked to do, as a value: it can be recorded, printed, timed and replayed.
///
/// Shapes are validated above the seam; a backend trusts them. Operands may be any strided view
/// (inputs also with stride 0) unless noted; outputs never overlap themselves or the inputs except
/// where noted. Element-wise operands arrive already broadcast to the shape of the output.
public enum Operation: Sendable, Hashable {
  // MARK: Primitives: every backend implements them.

  /// `[] → out`: every element becomes `value`, converted as by `copy`.
  case fill(Double)
  /// `x → out`, same shape, any types. Float to integer truncates toward zero and saturates, NaN
  /// becomes 0; to `bool` is `x != 0`. Also materialises permutations, slices, concatenations, pads.
  case copy
  /// `x → out`.
  case unary(UnaryOp)
  /// `saved, dy → dx`: `dy · f′`, where `saved` is what `UnaryOp.saved` names.
  case unaryBackward(UnaryOp)
  /// `a, b → out`.
  case binary(BinaryOp)
  /// `x → out`: `x ∘ scalar`, or `scalar ∘ x` when reversed. `float32`, and `int32` where
  /// `BinaryOp` allows.
  case scalar(BinaryOp, Double, reversed: Bool)
  /// `a, b → out: bool`.
  case compare(ComparisonOp)
  /// `a, b, c → out`.
  case ternary(TernaryOp)
  /// `x → out`, where `out` keeps the reduced axes with extent 1. `axes` ascending.
  case reduce(ReduceOp, axes: [Int])
  /// `x → out: int32`, `out` keeps the axis with extent 1.
  case argReduce(ArgReduceOp, axis: Int)
  /// `a[B, M, K], b[B, K, N] → out[B, M, N]`, `float32`. A transposed operand is a view with swapped
  /// strides; batch stride 0 repeats a matrix. `K = 0` gives zeros.
  case gemm
  /// `x, indices: int32[n] → out`: `out` has extent `n` along `axis`. An index out of range is an
  /// error (at once, or at the next synchronising call), never a stray access.
  case take(axis: Int)
  /// `x, indices: int32[n], source → out`: `out = x`, then `out[… indices[i] …] += source[… i …]` in
  /// ascending `i`. The adjoint of `take`.
  case indexAdd(axis: Int)
  /// `x, indices: int32 → out`, `torch.gather`: `out[i][j] = x[index[i][j]][j]` along `axis`;
  /// `indices` and `out` have one shape, no larger than `x` off the axis.
  case gather(axis: Int)
  /// `x, indices: int32, source → out`, `torch.scatter_add`: the adjoint of `gather`, in ascending
  /// order along `axis`.
  case scatterAdd(axis: Int)
  /// `x → out`, inclusive. `float32`, `int32`.
  case cumulativeSum(axis: Int)
  /// `x → values, indices: int32`. Stable; NaN counts as largest. `float32`, `int32`.
  case sort(axis: Int, descending: Bool)
  /// `x → values, indices: int32`: the first `k` of the sorted axis, in order.
  case topK(k: Int, axis: Int, largest: Bool)
  /// `[] → out: float32`: element `i` (row-major) depends on `(key, i)` alone; see ``Philox``.
  case random(RandomDistribution, RandomKey)

  // MARK: Fused: `compose` defines them in terms of primitives.

  /// `x[M, K], weight[N, K], bias[N]? → out[M, N]`: `activation(x · weightᵀ + bias)`.
  case linear(activation: UnaryOp?)
  /// `y[M, N], dy[M, N] → dz[M, N], dbias[N]?`: through an activation whose `saved` is `.output`
  /// (or nil: then `dz` is a copy) and a bias, in one pass.
  case linearActivationBackward(activation: UnaryOp?)
  /// `x → out`, over the last axis.
  case softmax, logSoftmax
  /// `out, dout → dx`, over the last axis.
  case softmaxBackward, logSoftmaxBackward
  /// `logits[N, C], targets: int32[N], classWeights[C]? → losses[N], rowWeights[N], gradient[N, C]?`
  ///
  /// `losses[i] = (1 − ε) · w_t · −log p_t + ε / C · Σ_c w_c · −log p_c`, `rowWeights[i] = w_t`, both
  /// 0 where the target is `ignoreIndex`; `gradient[i]` is the derivative of `losses[i]`. Another
  /// target outside `0..<C` is an error.
  case crossEntropy(labelSmoothing: Float, ignoreIndex: Int32)
  /// `x[R, C], (weight[C], bias[C])? → y[R, C], mean[R], rstd[R]`, biased variance.
  case layerNorm(epsilon: Float)
  /// `x[R, C], mean[R], rstd[R], dy[R, C], weight[C]? → dx[R, C], (dweight[C], dbias[C])?`
  case layerNormBackward
  /// `x → out`: elements whose uniform draw is below `probability` become 0, the others
  /// `x / (1 − probability)`. Its own backward, with the same key.
  case dropout(probability: Float, key: RandomKey)
  /// Any number of `float32` operands `→ out[]`: the sum of all squares.
  case sumOfSquares
  /// One optimizer step over many parameters at once; see ``OptimizerStep`` for the operands.
  case optimizerStep(OptimizerStep)

  // MARK: Fused, on images: `[N, C, H, W]` by shape, in whatever memory order the strides say.

  /// `x[N, C, H, W], weight[O, C / groups, KH, KW], bias[O]?, addend[N, O, OH, OW]? →
  /// out[N, O, OH, OW]`: `activation(x ∗ weight + bias + addend)`. An addend comes with a bias.
  case convolution(Convolution, activation: UnaryOp?)
  /// `dy[N, O, OH, OW], weight[O, C / groups, KH, KW] → dx[N, C, H, W]`. The forward pass of a
  /// transposed convolution. Input that no window reaches gets 0.
  case convolutionInputGradient(Convolution)
  /// `x[N, C, H, W], dy[N, O, OH, OW] → dweight[O, C / groups, KH, KW], dbias[O]?`
  case convolutionWeightGradient(Convolution)
  /// `x[N, C, H, W], dy[N, O, OH, OW], weight[O, C / groups, KH, KW] → dx[N, C, H, W],
  /// dweight[O, C / groups, KH, KW], dbias[O]?`: both gradients from one reading of `dy`.
  case convolutionBackward(Convolution)
  /// `x[N, C, H, W] → out[N, C, OH, OW], indices: int32[N, C, OH, OW]?`: an index is `h · W + w` of
  /// the first largest element of the window in the plane; a NaN counts as largest.
  case maxPool(Window)
  /// `dy[N, C, OH, OW], indices: int32 → dx[N, C, H, W]`, adding where windows overlap.
  case maxPoolBackward(Window)
  /// `x → out`: the mean of the window; `countsPadding` says whether padding enlarges the divisor. A
  /// window may hang over the padded input at the end (PyTorch's `ceil_mode`); that part never counts.
  case averagePool(Window, countsPadding: Bool)
  /// `dy[N, C, OH, OW] → dx[N, C, H, W]`.
  case averagePoolBackward(Window, countsPadding: Bool)
  /// `x[N, C, H, W] → out[N, C, OH, OW]`: output row `i` averages input rows
  /// `⌊i · H / OH⌋ ..< ⌈(i + 1) · H / OH⌉`, columns alike.
  case adaptiveAveragePool, adaptiveAveragePoolBackward
  /// `x[N, C, H, W] → out[N, C, OH, OW]`, and `dy → dx`.
  case upsample(Upsampling), upsampleBackward(Upsampling)
  /// `x[N, C, H, W], (weight[C], bias[C])?, (runningMean[C], runningVariance[C])?,
  /// addend[N, C, H, W]? → y, mean[C], rstd[C], (newRunningMean[C], newRunningVariance[C])?`: over
  /// all axes but 1, the biased variance in `y`, the unbiased one in the running statistics (which
  /// may be updated in place). `y = activation(normalised · weight + bias + addend)`. There is at least
  /// one element per channel, and two where statistics are tracked.
  case batchNorm(BatchNormalization)
  /// `x, y, mean[C], rstd[C], dy, weight[C]? → dx, (dweight[C], dbias[C])?, daddend?`, through the
  /// activation (`y` is read for it alone).
  case batchNormBackward(BatchNormalization)
  /// `x, mean[C], variance[C], (weight[C], bias[C])?, addend? → y`, with given statistics.
  case batchNormInference(BatchNormalization)

  // MARK: Fused, over sequences: see ``Recurrence`` for the formulas.

  /// `gates[T, B, G · H], weight[G · H, H], bias[G · H]?, h0[B, H], c0[B, H]?, lengths: int32[B]? →
  /// y[T, B, H], hn[B, H], cn[B, H]?, saved[T, B, S · H]?`: `saved` is left out where no gradient will
  /// be asked, `c0` and `cn` come with an LSTM. A length counts as limited to `0...T`.
  case recurrence(Recurrence)
  /// `weight, y, saved?, h0, c0?, lengths?, dy[T, B, H], dhn[B, H], dcn[B, H]? →
  /// dgates[T, B, G · H], dweight[G · H, H], dbias[G · H]?, dh0[B, H], dc0[B, H]?`
  case recurrenceBackward(Recurrence)

  /// Whether `compose` has a body for it.
  public var isFused: Bool {
    switch self {
    case .linear, .linearActivationBackward, .softmax, .logSoftmax, .softmaxBackward,
      .logSoftmaxBackward, .crossEntropy, .layerNorm, .layerNormBackward, .dropout, .sumOfSquares,
      .optimizerStep, .convolution, .convolutionInputGradient, .convolutionWeightGradient,
      .convolutionBackward, .maxPool, .maxPoolBackward, .averagePool, .averagePoolBackward,
      .adaptiveAveragePool,
      .adaptiveAveragePoolBackward, .upsample, .upsampleBackward, .batchNorm, .batchNormBackward,
      .batchNormInference, .recurrence, .recurrenceBackward:
      true
    default: false
    }
  }
}

public enum RandomDistribution: Sendable, Hashable {
  /// `low ≤ x < high`.
  case uniform(low: Float, high: Float)
  case normal(mean: Float, standardDeviation: Float)
  /// 1 with the probability, else 0.
  case bernoulli(probability: Float)
}

/// An operation with what it reads and writes.
public struct Command: Sendable {
  public let operation: Operation
  public let inputs: [Operand]
  public let outputs: [Operand]

  public init(_ operation: Operation, inputs: [Operand], outputs: [Operand]) {
    self.operation = operation
    self.inputs = inputs
    self.outputs = outputs
  }
}

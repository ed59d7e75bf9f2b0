import ApusDevice
import ApusTensor

// Formulas, names of arguments and defaults are those of `torch.nn.functional`.

/// Cross-entropy between the softmax of `logits` and class indices.
///
/// - Parameters:
///   - logits: `[N, C]` or `[N, C, d…]`.
///   - targets: `int32`, `[N]` or `[N, d…]`.
///   - weight: One factor per class; the mean is then weighted.
///   - labelSmoothing: Share of the target that is spread over all classes.
public func crossEntropy(
  _ logits: Tensor, _ targets: Tensor, weight: Tensor? = nil, labelSmoothing: Float = 0,
  ignoreIndex: Int32 = -100, reduction: Reduction = .mean
) throws -> Tensor {
  try logits.crossEntropy(
    targets, classWeights: weight, labelSmoothing: labelSmoothing, ignoreIndex: ignoreIndex,
    reduction: reduction)
}

/// Binary cross-entropy of `sigmoid(logits)` against targets of `0...1`, computed without overflow.
///
/// - Parameters:
///   - weight: Multiplies each loss; broadcasts.
///   - positiveWeight: Multiplies the part of positive targets; broadcasts.
public func binaryCrossEntropyWithLogits(
  _ logits: Tensor, _ targets: Tensor, weight: Tensor? = nil, positiveWeight: Tensor? = nil,
  reduction: Reduction = .mean
) throws -> Tensor {
  try requireEqual(logits, targets, "binaryCrossEntropyWithLogits")
  // −[p·y·log σ(x) + (1 − y)·log(1 − σ(x))] with log σ(x) = −softplus(−x).
  let toNegative = try (-logits).softplus()
  var factor = try Tensor.ones(like: logits)
  if let positiveWeight { factor = try (positiveWeight - 1) * targets + 1 }
  var losses = try (1 - targets) * logits + factor * toNegative
  if let weight { losses = try losses * weight }
  return try reduced(losses, reduction)
}

/// `(prediction − target)²`.
public func meanSquaredError(
  _ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean
) throws -> Tensor {
  try requireEqual(predictions, targets, "meanSquaredError")
  return try reduced(try (predictions - targets).square(), reduction)
}

/// `|prediction − target|`.
public func meanAbsoluteError(
  _ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean
) throws -> Tensor {
  try requireEqual(predictions, targets, "meanAbsoluteError")
  return try reduced(try (predictions - targets).abs(), reduction)
}

/// `d² / 2` where `|d| ≤ delta`, `delta · (|d| − delta / 2)` beyond (Huber 1964).
public func huber(
  _ predictions: Tensor, _ targets: Tensor, delta: Float = 1, reduction: Reduction = .mean
) throws -> Tensor {
  guard delta > 0 else {
    throw ApusError(.value, operation: "huber", "delta is \(delta); it must be positive")
  }
  try requireEqual(predictions, targets, "huber")
  // With c = min(|d|, δ): c · (|d| − c / 2) is both branches.
  let distance = try (predictions - targets).abs()
  let limited = try distance.clamp(max: delta)
  return try reduced(try limited * (distance - limited * 0.5), reduction)
}

private func requireEqual(_ a: Tensor, _ b: Tensor, _ operation: String) throws {
  guard a.shape == b.shape else {
    throw ApusError(
      .shape, operation: operation,
      "predictions \(a.shape) and targets \(b.shape) must have one shape")
  }
}

private func reduced(_ losses: Tensor, _ reduction: Reduction) throws -> Tensor {
  switch reduction {
  case .mean: try losses.mean()
  case .sum: try losses.sum()
  case .none: losses
  }
}

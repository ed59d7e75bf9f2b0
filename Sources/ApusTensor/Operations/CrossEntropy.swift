import ApusDevice

/// How the losses of single examples become one.
public enum Reduction: String, Sendable, Hashable, Codable {
  case mean, sum
  /// One loss per example.
  case none
}

extension Tensor {
  /// The cross-entropy between softmax of these logits and class indices, in one pass with its
  /// gradient; formula and defaults are `torch.nn.functional.cross_entropy`'s.
  ///
  /// - Parameters:
  ///   - targets: `[N]`, `int32`, for logits `[N, C]`; or `[N, d…]` for logits `[N, C, d…]`.
  ///   - classWeights: `[C]`; the mean is then weighted.
  ///   - labelSmoothing: Share of the target spread over all classes, 0 to 1.
  ///   - ignoreIndex: Targets with this value do not count.
  public func crossEntropy(
    _ targets: Tensor, classWeights: Tensor? = nil, labelSmoothing: Float = 0,
    ignoreIndex: Int32 = -100, reduction: Reduction = .mean
  ) throws -> Tensor {
    try checkCrossEntropy(targets, classWeights, labelSmoothing)
    if rank > 2 {
      // Class axis last, all other axes rows.
      let order = [0] + Array(2..<rank) + [1]
      let losses = try permuted(order).reshaped([-1, shape[1]]).crossEntropy(
        targets.reshaped([-1]), classWeights: classWeights, labelSmoothing: labelSmoothing,
        ignoreIndex: ignoreIndex, reduction: reduction)
      return reduction == .none ? try losses.reshaped(targets.shape) : losses
    }
    let tape = try Tape.watching(self)
    let rows = [shape[0]]
    let losses = try Tensor.allocated(rows, .float32, on: device)
    let weights = try Tensor.allocated(rows, .float32, on: device)
    let gradient = tape == nil ? nil : try Tensor.allocated(shape, .float32, on: device)
    let inputs = [self, targets] + (classWeights.map { [$0] } ?? [])
    let outputs = [losses, weights] + (gradient.map { [$0] } ?? [])
    _ = try Tensor.commonDevice(inputs, .crossEntropy(labelSmoothing: 0, ignoreIndex: 0))
    try device.backend.enqueue(
      Command(
        .crossEntropy(labelSmoothing: labelSmoothing, ignoreIndex: ignoreIndex),
        inputs: inputs.map(\.operand), outputs: outputs.map(\.operand)))
    var result = losses
    if let tape, let gradient {
      result = try tape.record(losses, from: [self]) { dy in
        [try gradient * dy.unsqueezed(axis: 1)]
      }
    }
    switch reduction {
    case .none: return result
    case .sum: return try result.sum()
    case .mean: return try result.sum() / weights.sum()
    }
  }

  private func checkCrossEntropy(
    _ targets: Tensor, _ classWeights: Tensor?, _ labelSmoothing: Float
  ) throws {
    guard rank >= 2, dtype == .float32, targets.dtype == .int32 else {
      throw ApusError(
        .dtype, operation: "crossEntropy",
        "takes float32 logits [N, C] and int32 targets [N], not \(dtype)\(shape) and "
          + "\(targets.dtype)\(targets.shape)")
    }
    var expected = shape
    expected.remove(at: 1)
    guard targets.shape == expected else {
      throw ApusError(
        .shape, operation: "crossEntropy",
        "targets \(targets.shape) do not fit logits \(shape); they must be \(expected)")
    }
    guard shape[1] > 0 else {
      throw ApusError(.shape, operation: "crossEntropy", "logits \(shape) have no classes")
    }
    guard labelSmoothing >= 0, labelSmoothing <= 1 else {
      throw ApusError(
        .value, operation: "crossEntropy", "label smoothing \(labelSmoothing) is not within 0...1")
    }
    if let classWeights, classWeights.shape != [shape[1]] || classWeights.dtype != .float32 {
      throw ApusError(
        .shape, operation: "crossEntropy",
        "class weights \(classWeights.dtype)\(classWeights.shape) must be float32[\(shape[1])]")
    }
  }
}

import ApusDevice
import ApusNN
import ApusOptimizers
import ApusTensor

extension Trainer {
  /// One pass over the training data.
  /// - Returns: Whether the pass is complete; otherwise it was cancelled.
  /// - Throws: ``ApusError`` where losses or parameters are not finite.
  func train(
    _ epoch: Int, _ optimizer: any Optimizer, _ schedule: LearningRateSchedule.Run,
    _ plateau: Plateau, _ losses: inout LossReader, _ isCancelled: () -> Bool,
    _ onEvent: (TrainingEvent) throws -> Void
  ) throws -> Bool {
    var batches = try training.batches(
      key: options.orderKey.folded(UInt64(epoch)), batchSize: options.batchSize)
    let penalty = options.l1 > 0 ? try L1Penalty(options.l1) : nil
    let maxNorm = try options.maxNorm.map { try MaxNorm($0) }
    losses.beginEpoch(epoch)
    while let batch = try batches.next() {
      if isCancelled() {
        try losses.flush(onEvent)
        return false
      }
      optimizer.learningRate =
        options.schedule.learningRate(
          options.learningRate, step: optimizer.stepCount, of: schedule) * Float(plateau.factor)
      let loss = try step(batch, optimizer, penalty, maxNorm)
      try losses.add(loss, step: optimizer.stepCount, weight: batch.count, onEvent)
    }
    try losses.flush(onEvent)
    try requireFiniteParameters(after: optimizer.stepCount, epoch: epoch)
    return true
  }

  private func step(
    _ batch: Batch, _ optimizer: any Optimizer, _ penalty: L1Penalty?, _ maxNorm: MaxNorm?
  ) throws -> Tensor {
    let key = options.stepKey.folded(UInt64(optimizer.stepCount))
    var (loss, gradients) = try valueAndGradients(of: optimizer.parameters, key: key) { context in
      let logits = try model(batch.x, context)
      return try batch.loss {
        try crossEntropy(
          logits, $0, weight: classWeights, labelSmoothing: options.labelSmoothing)
      }
    }
    if let penalty { gradients = try penalty.added(to: gradients, of: optimizer.parameters) }
    try optimizer.step(gradients)
    try maxNorm?.apply(to: optimizer.parameters)
    return loss
  }

  /// The last step of an epoch can ruin the weights while its loss still looks well.
  private func requireFiniteParameters(after step: Int, epoch: Int) throws {
    let named = model.namedParameters()
    // `x · 0` is 0 for every finite x and NaN for all others, and NaN survives any sum.
    let marks = try named.map { try ($0.parameter.value * 0).sum() }
    guard !marks.isEmpty,
      let bad = try Tensor.stacked(marks).scalars().firstIndex(where: { $0 != 0 })
    else { return }
    throw ApusError(
      .data, operation: "train",
      "parameter '\(named[bad].name)' is no longer finite after step \(step) (epoch \(epoch)); "
        + LossReader.advice)
  }
}

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
    let pass = try objective.pass(over: model, key: options.orderKey.folded(UInt64(epoch)))
    let penalty = options.l1 > 0 ? try L1Penalty(options.l1) : nil
    let maxNorm = try options.maxNorm.map { try MaxNorm($0) }
    // As the optimizer has them: each once, though it may have several names.
    var seen: Set<ObjectIdentifier> = []
    let named = model.namedParameters().filter {
      $0.parameter.isTrainable && seen.insert(ObjectIdentifier($0.parameter)).inserted
    }
    var isFirst = true
    losses.beginEpoch(epoch)
    while let next = try pass.next() {
      if isCancelled() {
        try losses.flush(onEvent)
        return false
      }
      optimizer.learningRate =
        options.schedule.learningRate(
          options.learningRate, step: optimizer.stepCount, of: schedule) * Float(plateau.factor)
      let key = options.stepKey.folded(UInt64(optimizer.stepCount))
      var (loss, gradients) = try valueAndGradients(
        of: optimizer.parameters, key: key, next.loss)
      let report =
        try isReported(step: optimizer.stepCount + 1, isFirst)
        ? GradientReport(named, gradients) : nil
      if let penalty { gradients = try penalty.added(to: gradients, of: optimizer.parameters) }
      try optimizer.step(gradients)
      try maxNorm?.apply(to: optimizer.parameters)
      try report.map {
        try onEvent(.gradients(.init(step: optimizer.stepCount, epoch: epoch, $0)))
      }
      try losses.add(loss, step: optimizer.stepCount, weight: next.weight, onEvent)
      isFirst = false
    }
    try losses.flush(onEvent)
    try requireFiniteParameters(after: optimizer.stepCount, epoch: epoch)
    return true
  }

  /// Whether the gradients of a step are told.
  private func isReported(step: Int, _ isFirst: Bool) -> Bool {
    guard let interval = options.gradientReport else { return false }
    return isFirst || interval > 0 && step % interval == 0
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

import ApusDevice
import ApusTensor

/// Connectionist temporal classification (Graves et al. 2006), as `torch.nn.functional.ctc_loss`: what
/// it costs to read each target from a sequence, summed over all alignments.
///
/// - Parameters:
///   - logProbabilities: `[T, N, C]`, for instance from `logSoftmax(axis: 2)`.
///   - targets: The classes of each row, without blanks.
///   - lengths: How many steps of each row count, `1...T`; all for nil.
///   - blank: The class that stands for no output.
///   - reduction: `mean` divides each loss by the length of its target, then averages the rows.
///   - zeroInfinity: Whether rows whose target does not fit into their steps count 0 rather than
///     infinity.
public func ctcLoss(
  _ logProbabilities: Tensor, _ targets: [[Int]], lengths: [Int]? = nil, blank: Int = 0,
  reduction: Reduction = .mean, zeroInfinity: Bool = false
) throws -> Tensor {
  let losses = try logProbabilities.ctcLoss(
    targets: targets, lengths: lengths, blank: blank, zeroInfinity: zeroInfinity)
  switch reduction {
  case .none: return losses
  case .sum: return try losses.sum()
  case .mean:
    let sizes = try Tensor(targets.map { Float(max($0.count, 1)) }, on: losses.device)
    return try (losses / sizes).mean()
  }
}

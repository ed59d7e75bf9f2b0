/// What the schedule `plateau` remembers between epochs: `ReduceLROnPlateau` with a relative
/// threshold of 1e-4, no cooldown, and no lower limit.
public struct Plateau: Sendable, Hashable, Codable {
  /// What the learning rate is multiplied with now.
  public private(set) var factor = 1.0
  private var best: Double?
  private var badEpochs = 0

  public init() {}

  /// Takes note of an epoch's figure; more than `patience` epochs in a row without a new best figure
  /// lower the factor.
  /// - Parameters:
  ///   - isSmallerBetter: As for a loss; not as for an accuracy.
  ///   - reduction: What the factor is multiplied with.
  ///   - learningRate: The run's rate; it is left alone where lowering changes it by 1e-8 or less.
  public mutating func observe(
    _ figure: Double, isSmallerBetter: Bool, reduction: Double, patience: Int, learningRate: Float
  ) {
    let isBetter =
      best.map { isSmallerBetter ? figure < $0 * (1 - 1e-4) : figure > $0 * (1 + 1e-4) } ?? true
    guard !isBetter else {
      best = figure
      badEpochs = 0
      return
    }
    badEpochs &+= 1
    guard badEpochs > patience else { return }
    badEpochs = 0
    let lowered = factor * reduction
    if Double(learningRate) * (factor - lowered) > 1e-8 { factor = lowered }
  }
}

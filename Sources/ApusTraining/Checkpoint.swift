import ApusData
import ApusDevice
import ApusNN
import ApusOptimizers
import ApusTensor

/// A run after a completed epoch: all that is needed to go on as if it had never stopped.
///
/// Order of the data, dropout and the learning rate are functions of the seed and of the numbers of
/// epoch and step, so no state of theirs is kept.
public struct Checkpoint: Sendable {
  /// How far a run has come, and which run it is.
  public struct Progress: Sendable, Hashable, Codable {
    public let options: TrainingOptions
    /// A hash of the prepared training and validation data.
    public let data: String
    /// The device it ran on; for people.
    public let device: String
    /// The last completed epoch, from 1; 0 before that.
    public private(set) var epoch = 0
    public private(set) var best: BestEpoch?
    public private(set) var plateau = Plateau()

    init(options: TrainingOptions, data: String, device: String) {
      self.options = options
      self.data = data
      self.device = device
    }

    /// Whether the last epoch is the best so far.
    public var isBest: Bool { best?.epoch == epoch && epoch > 0 }

    /// Whether early stopping ends the run here.
    public var isStalled: Bool {
      guard let patience = options.earlyStopping, let best else { return false }
      return epoch - best.epoch >= patience
    }

    mutating func take(_ other: Progress) {
      (epoch, best, plateau) = (other.epoch, other.best, other.plateau)
    }

    mutating func complete(_ epoch: Int, figure: Double?) {
      self.epoch = epoch
      guard let figure else { return }
      if best?.isBeaten(by: figure, options) ?? true {
        best = BestEpoch(epoch: epoch, figure: figure)
      }
      if case .plateau(let factor, let patience) = options.schedule {
        plateau.observe(
          figure, isSmallerBetter: options.monitor.isSmallerBetter, reduction: factor,
          patience: patience, learningRate: options.learningRate)
      }
    }
  }

  public let progress: Progress
  public let weights: [String: Tensor]
  public let optimizer: OptimizerState
  /// The weights of the best epoch, kept where early stopping may give them back.
  public let bestWeights: [String: Tensor]?
  /// The file it was read from.
  public private(set) var path: String?
  /// The model as the file describes it; nil for a model that was no description.
  public private(set) var description: ModelDescription?
  /// For models of texts: what made their tokens.
  public private(set) var tokenizer: Tokenizer?

  init(
    progress: Progress, weights: [String: Tensor], optimizer: OptimizerState,
    bestWeights: [String: Tensor]?, path: String? = nil, description: ModelDescription? = nil,
    tokenizer: Tokenizer? = nil
  ) {
    self.progress = progress
    self.weights = weights
    self.optimizer = optimizer
    self.bestWeights = bestWeights
    self.path = path
    self.description = description
    self.tokenizer = tokenizer
  }

  /// - Throws: ``ApusError`` where going on would not give what an uninterrupted run with these
  ///   options gives.
  func requireSameRun(as other: Progress, stepsPerEpoch: Int) throws {
    func refused(_ message: String) -> ApusError {
      ApusError(.value, operation: path ?? "checkpoint", message)
    }
    guard progress.data == other.data else {
      throw refused(
        "belongs to other data: the prepared examples are not those of the checkpoint. Give the same "
          + "data, split, seed and preprocessing, or start anew in another folder")
    }
    var (saved, given) = (progress.options, other.options)
    saved.workers = given.workers
    saved.gradientReport = given.gradientReport
    if saved.epochs != given.epochs {
      guard !saved.schedule.dependsOnLength else {
        throw refused(
          "is of a run of \(saved.epochs) epochs, not \(given.epochs); the schedule "
            + "\(saved.schedule) depends on the number of epochs, so it cannot change. The schedules "
            + "constant, step, multistep, exponential and plateau allow it")
      }
      guard given.epochs >= progress.epoch else {
        throw refused("is after epoch \(progress.epoch); \(given.epochs) epochs are fewer")
      }
      saved.epochs = given.epochs
    }
    guard saved != given else {
      guard optimizer.stepCount == progress.epoch * stepsPerEpoch else {
        throw refused(
          "is damaged: it counts \(optimizer.stepCount) steps in \(progress.epoch) epochs of "
            + "\(stepsPerEpoch)")
      }
      return
    }
    let differences = zip(Mirror(reflecting: saved).children, Mirror(reflecting: given).children)
      .compactMap { old, new in
        let (was, now) = (Self.text(old.value), Self.text(new.value))
        return was == now ? nil : "\(old.label ?? "option") was \(was), is \(now)"
      }
    throw refused(
      "is of a run with other options: \(differences.joined(separator: "; ")). Give the same, or "
        + "start anew in another folder")
  }

  private static func text(_ value: Any) -> String {
    let mirror = Mirror(reflecting: value)
    guard mirror.displayStyle == .optional else { return "\(value)" }
    return mirror.children.first.map { "\($0.value)" } ?? "none"
  }
}

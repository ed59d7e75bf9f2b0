import ApusDevice
import ApusNN
import ApusTensor

/// What a run learns: the steps of an epoch with their losses, and how a held-out part is judged.
///
/// ``Trainer`` brings the rest: optimizer, schedule, penalties, events, checkpoints, the end of a run.
/// ``ClassificationObjective`` and ``RegressionObjective`` learn labelled examples; others may carry
/// something from step to step, in their ``TrainingPass``.
public protocol Objective: Sendable {
  /// A hash of all data that the model gets to see: a checkpoint of other data is refused.
  var fingerprint: String { get }
  /// The steps of one epoch, at least 1.
  var stepsPerEpoch: Int { get }
  /// Whether ``validate(_:)`` gives figures.
  var hasValidation: Bool { get }
  /// Whether these have an accuracy, so that it can be monitored.
  var hasAccuracy: Bool { get }

  /// Begins an epoch.
  /// - Parameter key: The epoch's: gives the order of the data and what happens to it.
  func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass

  /// Judges the model on the held-out part; nil without one. Nothing of it is recorded.
  func validate(_ model: any Layer) throws -> Figures?
}

/// The steps of one epoch, in order; may keep what one step hands to the next, such as the detached
/// state of a recurrent network.
public protocol TrainingPass: AnyObject {
  /// The next step; nil at the end of the epoch. It is run before the next one is asked for.
  func next() throws -> TrainingStep?
}

/// One step of training.
public struct TrainingStep {
  /// How much its mean counts in the mean of the epoch: its examples, tokens or the like.
  public let weight: Int
  /// The mean loss, a scalar, from a forward pass in the context given.
  public let loss: (Context) throws -> Tensor

  public init(weight: Int, loss: @escaping (Context) throws -> Tensor) {
    self.weight = weight
    self.loss = loss
  }
}

/// What an objective says of a held-out part.
public struct Figures: Sendable, Hashable {
  /// The mean loss.
  public var loss: Double
  /// The share of hits, where there are hits.
  public var accuracy: Double?
  /// Further figures by name, as the log tells them; nil where there are none.
  public var others: [String: Double]?

  public init(loss: Double, accuracy: Double? = nil, others: [String: Double]? = nil) {
    self.loss = loss
    self.accuracy = accuracy
    self.others = others
  }
}

/// A pass over batches of examples, each with a loss of its own.
final class BatchPass: TrainingPass {
  private var batches: Batches
  private let loss: (Batch, Context) throws -> Tensor

  init(_ batches: Batches, loss: @escaping (Batch, Context) throws -> Tensor) {
    self.batches = batches
    self.loss = loss
  }

  func next() throws -> TrainingStep? {
    guard let batch = try batches.next() else { return nil }
    return TrainingStep(weight: batch.count) { [loss] in try loss(batch, $0) }
  }
}

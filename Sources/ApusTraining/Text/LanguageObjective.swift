import ApusData
import ApusDevice
import ApusNN
import ApusTensor

/// Learns to foretell the next token of a text: cross-entropy in nats per token, by truncated
/// backpropagation through time (Williams and Peng 1990).
///
/// Each row of a batch goes through a part of the text of its own from beginning to end. Every step takes
/// the next tokens of all rows; recurrent states go on from step to step, their gradients do not. An epoch
/// begins with states of zero, so a run goes on after any epoch without keeping states.
public struct LanguageObjective: Objective {
  private let training: TokenStreams
  private let validation: TokenStreams?
  private let sequenceLength: Int
  private let charactersPerToken: Double?
  public let fingerprint: String

  public let hasAccuracy = false
  public var hasValidation: Bool { validation != nil }
  public var stepsPerEpoch: Int { training.steps(of: sequenceLength) }

  /// - Parameters:
  ///   - training: Tokens of a text, in order.
  ///   - validation: Those of another part, looked at after every epoch; for nil none is.
  ///   - sequenceLength: Tokens of a row in one step, through which gradients go.
  ///   - charactersPerToken: Of the validation part, for figures that do not depend on the tokenizer.
  ///   - options: The batch size is the number of rows.
  /// - Throws: ``ApusError`` where a part has fewer than two tokens or options are about classes.
  public init(
    training: [Int32], validation: [Int32]?, sequenceLength: Int = 64,
    charactersPerToken: Double? = nil, options: TrainingOptions, device: Device
  ) throws {
    guard sequenceLength >= 1, sequenceLength <= 1 << 20 else {
      throw ApusError(
        .value, operation: "train",
        "the sequence length is \(sequenceLength); it must be within 1...\(1 << 20)")
    }
    guard options.labelSmoothing == 0, options.classWeights == .none,
      options.augmentation.isNone, options.regressionLoss == nil
    else {
      throw ApusError(
        .value, operation: "train",
        "label smoothing, class weights, augmentation and other losses are not for language models")
    }
    self.training = try TokenStreams(
      training, rows: options.batchSize, name: "the training part", on: device)
    self.validation = try validation.map {
      try TokenStreams($0, rows: LanguageEvaluation.rows, name: "the validation part", on: device)
    }
    self.sequenceLength = sequenceLength
    self.charactersPerToken = charactersPerToken
    var hash = Fingerprint()
    hash.add(training)
    hash.add(validation ?? [])
    hash.add(UInt64(sequenceLength))
    fingerprint = hash.text
  }

  public func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
    StreamPass(training, sequenceLength, try Self.recurrent(model))
  }

  public func validate(_ model: any Layer) throws -> Figures? {
    try validation.map {
      let found = try LanguageEvaluation(
        of: try Self.recurrent(model), on: $0, charactersPerToken: charactersPerToken)
      return Figures(loss: found.loss, others: found.figures)
    }
  }

  static func recurrent(_ model: any Layer) throws -> any RecurrentModel {
    guard let recurrent = model as? any RecurrentModel else {
      throw ApusError(
        .value, operation: "train",
        "the model does not hand states from step to step; conform it to RecurrentModel")
    }
    return recurrent
  }
}

/// The steps of one epoch, with the states between them.
private final class StreamPass: TrainingPass {
  private let streams: TokenStreams
  private let size: Int
  private let model: any RecurrentModel
  private var position = 0
  private var states: [String: RecurrentState] = [:]

  init(_ streams: TokenStreams, _ size: Int, _ model: any RecurrentModel) {
    self.streams = streams
    self.size = size
    self.model = model
  }

  func next() throws -> TrainingStep? {
    guard position < streams.length else { return nil }
    let (x, y) = try streams.piece(at: position, size: size)
    position += x.shape[1]
    return TrainingStep(weight: y.count) { context in
      var after = self.states
      let logits = try self.model(x, states: &after, context)
      self.states = after.mapValues(\.detached)
      return try crossEntropy(try logits.flattened(start: 0, end: 1), y)
    }
  }
}

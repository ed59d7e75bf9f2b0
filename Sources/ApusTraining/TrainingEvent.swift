import Foundation

/// What a training run tells while it goes on; one line of the log each.
public enum TrainingEvent: Sendable {
  case step(Step)
  case epoch(Epoch)
  case earlyStop(EarlyStop)
  case result(Result)

  public struct Step: Codable, Sendable, Hashable {
    public var event = "step"
    /// Counted from 1 over the whole run.
    public let step: Int
    /// Counted from 1.
    public let epoch: Int
    /// The mean loss of the batch, as training saw it.
    public let loss: Double
  }

  public struct Epoch: Codable, Sendable, Hashable {
    public var event = "epoch"
    public let epoch: Int
    /// Steps taken so far.
    public let step: Int
    /// The mean loss of the epoch's examples, each as its step saw it.
    public let trainLoss: Double
    /// nil without a validation part.
    public let validationLoss: Double?
    public let validationAccuracy: Double?
    public let learningRate: Double
    /// The epoch with its validation.
    public let seconds: Double
  }

  /// The run ends before its last epoch, with the weights of the best.
  public struct EarlyStop: Codable, Sendable, Hashable {
    public var event = "early-stop"
    /// The epoch after which the run ends.
    public let epoch: Int
    public let bestEpoch: Int
    /// The figure of that epoch.
    public let best: Double
    public let monitor: Monitor
  }

  public struct Result: Codable, Sendable, Hashable {
    public var event = "result"
    /// nil without a test part.
    public let testAccuracy: Double?
    public let testLoss: Double?
    public let device: String
    public let epochs: Int
    public let steps: Int
    public let parameters: Int
    /// The whole run.
    public let seconds: Double

    public init(
      testAccuracy: Double?, testLoss: Double?, device: String, epochs: Int, steps: Int,
      parameters: Int, seconds: Double
    ) {
      self.testAccuracy = testAccuracy
      self.testLoss = testLoss
      self.device = device
      self.epochs = epochs
      self.steps = steps
      self.parameters = parameters
      self.seconds = seconds
    }
  }

  /// One line of JSON without the line break; the field `event` comes first.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    let body: Data
    let name: String
    switch self {
    case .step(let step): (name, body) = ("step", try encoder.encode(step))
    case .epoch(let epoch): (name, body) = ("epoch", try encoder.encode(epoch))
    case .earlyStop(let stop): (name, body) = ("early-stop", try encoder.encode(stop))
    case .result(let result): (name, body) = ("result", try encoder.encode(result))
    }
    // Readers that look at the beginning of a line find the event there.
    let rest = String(decoding: body, as: UTF8.self)
      .replacing("\"event\":\"\(name)\",", with: "", maxReplacements: 1)
    return "{\"event\":\"\(name)\"," + rest.dropFirst()
  }
}

import Foundation

/// What a training run tells while it goes on; one line of the log each.
public enum TrainingEvent: Sendable {
  case step(Step)
  case gradients(Gradients)
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

  /// How the gradients of a step are, before penalties and clipping.
  public struct Gradients: Codable, Sendable, Hashable {
    public struct Layer: Codable, Sendable, Hashable {
      /// The parameter's name, which begins with that of its layer.
      public let name: String
      /// 2-norms, and the first over the second.
      public let gradientNorm: Float
      public let parameterNorm: Float
      public let ratio: Float
      public let finding: GradientReport.Finding
      /// What usually helps; nil for healthy ones.
      public let suggestion: String?
    }

    public var event = "gradients"
    public let step: Int
    public let epoch: Int
    /// The 2-norm of all gradients together.
    public let norm: Float
    public let layers: [Layer]

    public init(step: Int, epoch: Int, _ report: GradientReport) {
      self.step = step
      self.epoch = epoch
      layers = report.entries.map {
        Layer(
          name: $0.name, gradientNorm: $0.gradientNorm, parameterNorm: $0.parameterNorm,
          ratio: $0.ratio, finding: $0.finding, suggestion: $0.finding.suggestion)
      }
      let squares = layers.reduce(0.0) { $0 + Double($1.gradientNorm) * Double($1.gradientNorm) }
      norm = Float(squares.squareRoot())
    }
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
    /// Further figures of the validation part, such as `mae` and `rmse` of a regression.
    public let validationFigures: [String: Double]?
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
    /// Further figures of the test part, such as `mae` and `rmse` of a regression.
    public let testFigures: [String: Double]?
    /// The last look at the validation part, where there is no other.
    public let validationLoss: Double?
    public let validationFigures: [String: Double]?
    public let device: String
    public let epochs: Int
    public let steps: Int
    public let parameters: Int
    /// The whole run.
    public let seconds: Double

    public init(
      test: Figures?, validation: Figures? = nil, device: String, epochs: Int, steps: Int,
      parameters: Int, seconds: Double
    ) {
      testAccuracy = test?.accuracy
      testLoss = test?.loss
      testFigures = test?.others
      validationLoss = validation?.loss
      validationFigures = validation?.others
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
    case .gradients(let gradients): (name, body) = ("gradients", try encoder.encode(gradients))
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

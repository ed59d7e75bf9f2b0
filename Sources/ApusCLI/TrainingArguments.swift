import Apus
import ArgumentParser

extension OptimizerKind: ExpressibleByArgument {}
extension ClassWeighting: ExpressibleByArgument {}
extension Monitor: ExpressibleByArgument {}

/// What is done with the data before training.
struct PartArguments: ParsableArguments {
  @Option(help: "The share of the training data kept for validation; 0 for none.")
  var validation = 0.1

  @Option(help: "The share of a table or archive kept for the final test; 0 for none.")
  var testFraction = 0.2

  @Option(help: "none, standardize, min-max, channels or normalize. Default: what suits the data.")
  var preprocessing: PreprocessingChoice?

  @Option(
    help: ArgumentHelp(
      "Random changes of the training images, separated by commas.",
      discussion: "In the order of their use: " + Augmentation.forms.joined(separator: ", ") + "."),
    transform: { try Augmentation(parsing: $0) })
  var augment = Augmentation.none

  @Option(
    help: "Threads that decode, change and upload batches; 0 for none of their own. Same result.")
  var workers = 2

  func check() throws {
    for (name, share) in [("validation", validation), ("test-fraction", testFraction)] {
      guard share >= 0, share < 1 else {
        throw ValidationError("--\(name) is \(share); it must be in 0..<1")
      }
    }
  }

  func set(_ options: inout TrainingOptions) {
    options.augmentation = augment
    options.workers = workers
  }
}

/// `--preprocessing`.
enum PreprocessingChoice: String, ExpressibleByArgument, CaseIterable {
  case none, standardize
  case minMax = "min-max"
  case channels, normalize

  var kind: Preprocessing.Kind {
    switch self {
    case .none: .none
    case .standardize: .standardize
    case .minMax: .minMax
    case .channels: .standardizeChannels
    case .normalize: .normalizeSample(.l2)
    }
  }
}

/// How steps are taken, and how long.
struct StepArguments: ParsableArguments {
  @Option(help: "How often to go through the data.")
  var epochs = 20

  @Option(help: "Examples per step.")
  var batchSize = 64

  @Option(help: "The size of a step, before the schedule changes it.")
  var learningRate: Float = 1e-3

  @Option(
    help: ArgumentHelp(
      "How the learning rate changes over the run.",
      discussion: """
        cosine, linear             falls to 0 at the end
        constant                   stays
        step:EPOCHS[,FACTOR]       times FACTOR (0.1) after every EPOCHS
        multistep:EPOCH,…,FACTOR   times FACTOR at each EPOCH
        exponential:FACTOR         times FACTOR after every epoch
        onecycle[:RATE]            up to RATE (--learning-rate), then down
        plateau[:FACTOR,PATIENCE]  times FACTOR (0.1) after more than
                                   PATIENCE (10) epochs without a better
                                   --monitor
        """),
    transform: { text in
      do {
        return try LearningRateSchedule(text)
      } catch let error as ApusError {
        throw ValidationError(error.message)
      }
    })
  var schedule = LearningRateSchedule.cosine

  @Option(help: "Epochs over which the learning rate first rises; not with onecycle.")
  var warmupEpochs = 0

  @Option(help: "The same in steps; both add up. Not with onecycle.")
  var warmupSteps = 0

  @Option(help: "One of: \(OptimizerKind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var optimizer = OptimizerKind.adam

  @Option(help: "For sgd and rmsprop.")
  var momentum: Float = 0

  @Option(
    help: ArgumentHelp(
      "How errors of numbers count: mse, mae or huber, in deviations of the target.",
      discussion: "For targets of real numbers; the default is mse."))
  var loss: RegressionLoss?

  @Option(help: "Scale gradients down to this common norm; not with --clip-value.")
  var clipNorm: Float?

  @Option(help: "Limit every gradient element to this magnitude; not with --clip-norm.")
  var clipValue: Float?

  func set(_ options: inout TrainingOptions) {
    options.epochs = epochs
    options.batchSize = batchSize
    options.learningRate = learningRate
    options.schedule = schedule
    options.warmupEpochs = warmupEpochs
    options.warmupSteps = warmupSteps
    options.optimizer = optimizer
    options.momentum = momentum
    options.regressionLoss = loss
    options.clipNorm = clipNorm
    options.clipValue = clipValue
  }
}

/// What keeps a model from learning the training data by heart; dropout is a layer of the model.
struct PenaltyArguments: ParsableArguments {
  @Option(help: "L2 penalty; decoupled for adamw. Default: that of the optimizer.")
  var weightDecay: Float?

  @Option(help: "L1 penalty of the weights, which draws them to 0; biases have none.")
  var l1: Float = 0

  @Option(help: "The largest 2-norm of the weights that lead into a unit, kept after every step.")
  var maxNorm: Float?

  @Option(help: "Share of each target that is spread over all classes.")
  var labelSmoothing: Float = 0

  @Option(help: "none, or balanced: every class counts the same, however many examples it has.")
  var classWeights = ClassWeighting.none

  func set(_ options: inout TrainingOptions) {
    options.weightDecay = weightDecay
    options.l1 = l1
    options.maxNorm = maxNorm
    options.labelSmoothing = labelSmoothing
    options.classWeights = classWeights
  }
}

/// When to end before the last epoch.
struct StoppingArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Stop after this many epochs in a row without a better --monitor.",
      discussion: "The model is then that of the best epoch, also where all epochs are run."))
  var earlyStopping: Int?

  @Option(
    help: "The figure that tells which epoch is best: validation-loss or validation-accuracy.")
  var monitor = Monitor.validationLoss

  @Option(help: "By how much a figure must be better to count.")
  var minDelta = 0.0

  func set(_ options: inout TrainingOptions) {
    options.earlyStopping = earlyStopping
    options.monitor = monitor
    options.minDelta = minDelta
  }
}

/// Going on with a run.
struct CheckpointArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A folder for last.safetensors and best.safetensors, written after every epoch.",
      discussion: "They hold the model and all that is needed to go on, and predict like any model."
    ))
  var checkpointDir: String?

  @Option(
    defaultAsFlag: Resume.last, parsing: .next,
    help: ArgumentHelp(
      "Go on from the last checkpoint in --checkpoint-dir, or from the file named.",
      discussion: """
        On the same device the result has the same bits as an uninterrupted
        run. Other data, model or options are refused; --epochs may grow where
        --schedule does not depend on them.
        """))
  var resume: Resume?

  func check() throws {
    guard resume != .last || checkpointDir != nil else {
      throw ValidationError("--resume needs --checkpoint-dir, or the name of a file")
    }
  }
}

extension Resume: ExpressibleByArgument, CustomStringConvertible {
  init?(argument: String) { self = .file(argument) }

  var description: String {
    switch self {
    case .last: "the last in --checkpoint-dir"
    case .file(let path): path
    }
  }
}

/// Beginning with what another model has learnt.
struct TransferArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Begin with the weights of this file where names and shapes fit.",
      discussion: "What does not fit is listed; it begins at random as always."))
  var initFrom: String?

  @Option(help: "Leave parameters whose names begin so as they are; may be repeated.")
  var freeze: [String] = []
}

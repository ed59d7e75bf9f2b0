import Apus
import ArgumentParser
import Foundation

extension OptimizerKind: ExpressibleByArgument {}
extension LearningRateSchedule: ExpressibleByArgument {}

/// `apus train`.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model and save it.",
    discussion: """
      The model file holds weights, description, preprocessing and class names: it alone is enough to
      predict. It is written after every epoch, so an interrupted run keeps the last complete one.

        apus train --data digits --model mlp --device opencl --epochs 20 --output digits.safetensors
        apus train --data flowers.csv --target species --model mlp-small --output f.safetensors
      """)

  @OptionGroup var data: DataArguments
  @OptionGroup var device: DeviceOptions

  @Option(help: "A preset (see `apus presets`) or the path of a JSON description.")
  var model = "mlp"

  @Option(help: "How often to go through the data.")
  var epochs = 20

  @Option(help: "Examples per step.")
  var batchSize = 64

  @Option(help: "The size of a step, at the beginning.")
  var learningRate: Float = 1e-3

  @Option(help: "How the learning rate falls to 0 over the run: cosine, linear; or constant.")
  var schedule = LearningRateSchedule.cosine

  @Option(help: "One of: \(OptimizerKind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var optimizer = OptimizerKind.adam

  @Option(help: "For sgd and rmsprop.")
  var momentum: Float = 0

  @Option(help: "L2 penalty; decoupled for adamw. Default: that of the optimizer.")
  var weightDecay: Float?

  @Option(help: "Scale gradients down to this common norm.")
  var clipNorm: Float?

  @Option(help: "Limit every gradient element to this magnitude.")
  var clipValue: Float?

  @Option(help: "Share of each target that is spread over all classes.")
  var labelSmoothing: Float = 0

  @Option(
    help: ArgumentHelp(
      "Random changes of the training images, separated by commas.",
      discussion: "In the order of their use: " + Augmentation.forms.joined(separator: ", ") + "."),
    transform: { try Augmentation(parsing: $0) })
  var augment = Augmentation.none

  @Option(
    help: "Threads that make batches ready; 0 for none of their own. The result is the same.")
  var workers = 2

  @Option(help: "Gives initial weights, order of the data, augmentation and dropout.")
  var seed: UInt64 = 0

  @Option(help: "The share of the training data kept for validation; 0 for none.")
  var validation = 0.1

  @Option(help: "The share of a table or archive kept for the final test; 0 for none.")
  var testFraction = 0.2

  @Option(help: "none, standardize, min-max, channels or normalize. Default: what suits the data.")
  var preprocessing: PreprocessingChoice?

  @Option(help: "The model file to write.")
  var output: String

  @Option(help: "Write a log of JSON lines.")
  var log: String?

  @Option(help: "Draw loss curves and confusion matrix into an SVG file.")
  var plot: String?

  @Flag(help: "Say nothing but errors.")
  var quiet = false

  func validate() throws {
    for (name, share) in [("validation", validation), ("test-fraction", testFraction)] {
      guard share >= 0, share < 1 else {
        throw ValidationError("--\(name) is \(share); it must be in 0..<1")
      }
    }
    do {
      try options.validate()
    } catch let error as ApusError {
      throw ValidationError(error.message)
    }
  }

  private var options: TrainingOptions {
    var options = TrainingOptions()
    options.epochs = epochs
    options.batchSize = batchSize
    options.learningRate = learningRate
    options.schedule = schedule
    options.optimizer = optimizer
    options.momentum = momentum
    options.weightDecay = weightDecay
    options.clipNorm = clipNorm
    options.clipValue = clipValue
    options.labelSmoothing = labelSmoothing
    options.augmentation = augment
    options.workers = workers
    options.seed = seed
    return options
  }

  func run() throws {
    var job = TrainingJob(options: options, output: output)
    job.dataName = data.data
    job.dataOptions = data.options(seed: seed, testFraction: testFraction, quiet: quiet)
    job.model = model
    job.validation = validation
    job.preprocessing = preprocessing?.kind
    job.log = log
    job.plot = plot
    job.isQuiet = quiet
    let outcome = try job.run(on: try device.open(quiet: quiet))
    if outcome.wasCancelled { throw ExitCode(130) }
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

import Apus
import ArgumentParser
import Foundation

/// `apus train`.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model and save it.",
    discussion: """
      The model file holds weights, description, preprocessing and class names:
      it alone is enough to predict. It is written after every epoch, so an
      interrupted run keeps the last complete one.

        apus train --data digits --device opencl --output digits.safetensors
        apus train --data flowers.csv --target species --model mlp-small \\
          --output flowers.safetensors

      A run that may be cut off keeps checkpoints; the same command with --resume
      goes on from the last one, to the same bits as if nothing had happened:

        apus train --data digits --checkpoint-dir run --output d.safetensors
        apus train --data digits --checkpoint-dir run --output d.safetensors \\
          --resume

      Fine-tuning begins with the weights of another model, here with its first
      layer frozen:

        apus train --data letters.npz --init-from digits.safetensors \\
          --freeze fc1 --output letters.safetensors

      Texts with classes, from a table with a column of each, and a language model
      for `apus generate`, from any text:

        apus train --data messages.tsv --model text-gru --text-column 2 \\
          --target 1 --output messages.safetensors
        apus train --data input.txt --model char-lstm --batch-size 32 \\
          --sequence-length 64 --output language.safetensors

      Spoken words, from a folder of .wav files, and a forecast of the next day of
      an hourly table, from the four days before:

        apus train --data recordings/ --model speech-crnn --output s.safetensors
        apus train --data hourly.csv --target load --window 96 --horizon 24 \\
          --season 24 --model forecast-gru --output f.safetensors

      A target of real numbers makes a regression: --loss chooses how errors
      count.

      Where a loss does not fall, look at the gradients: --gradient-report logs
      them and names layers that get none, or too much, with what usually helps.
      A loss that is no number ends the run; the model of the last complete epoch
      is kept.
      """)

  @Option(help: "The model file to write.")
  var output: String

  @Option(
    help: ArgumentHelp(
      "A preset (see `apus presets`) or the path of a JSON description. Default: mlp.",
      discussion: "text-gru where --text-column is given, char-lstm where --sequence-length is."))
  var model: String?

  @Option(help: "Gives initial weights, order of the data, augmentation and dropout.")
  var seed: UInt64 = 0

  @OptionGroup var device: DeviceOptions

  @Option(help: "Write a log of JSON lines.")
  var log: String?

  @Option(help: "Draw loss curves and confusion matrix into an SVG file.")
  var plot: String?

  @Option(
    defaultAsFlag: 0, parsing: .next,
    help: ArgumentHelp(
      "Log gradient norms and name ill layers, once an epoch or every so many steps.",
      discussion: """
        Lines {"event":"gradients",…} of --log hold the norms of every parameter
        and of its gradient, before clipping, and whether it is healthy,
        vanishing, exploding or notFinite. The result stays the same.
        """, valueName: "steps"))
  var gradientReport: Int?

  @Flag(help: "Say nothing but errors.")
  var quiet = false

  @OptionGroup(title: "Data") var data: DataArguments
  @OptionGroup(title: "Parts, preprocessing, augmentation") var parts: PartArguments
  @OptionGroup(title: "Steps and learning rate") var steps: StepArguments
  @OptionGroup(title: "Regularisation") var penalties: PenaltyArguments
  @OptionGroup(title: "Texts") var text: TextArguments
  @OptionGroup(title: "Recordings") var audio: AudioArguments
  @OptionGroup(title: "Time series") var series: SeriesArguments
  @OptionGroup(title: "Early stopping") var stopping: StoppingArguments
  @OptionGroup(title: "Checkpoints") var saving: CheckpointArguments
  @OptionGroup(title: "Fine-tuning") var transfer: TransferArguments

  func validate() throws {
    try parts.check()
    try text.check(isForLanguageModel: chosenModel.isLanguageModelPreset)
    try audio.check()
    try series.check()
    try saving.check()
    let options = options
    do {
      try options.validate()
    } catch let error as ApusError {
      throw ValidationError(error.message)
    }
    guard parts.validation > 0 || !options.needsValidation else {
      throw ValidationError(
        "--early-stopping and --schedule plateau look at validation examples; --validation must be "
          + "above 0")
    }
  }

  private var chosenModel: ModelSource {
    ModelSource(model ?? text.defaultModel(textColumn: data.textColumn))
  }

  private var options: TrainingOptions {
    var options = TrainingOptions()
    options.seed = seed
    parts.set(&options)
    steps.set(&options)
    penalties.set(&options)
    stopping.set(&options)
    options.frozenPrefixes = transfer.freeze
    options.gradientReport = gradientReport
    return options
  }

  func run() throws {
    var job = TrainingJob(options: options, output: output)
    job.dataName = data.data
    job.dataOptions = data.options(seed: seed, testFraction: parts.testFraction, quiet: quiet)
    audio.set(&job.dataOptions.audio)
    let model = chosenModel.name
    job.series = series.options(model: model)
    job.text.tokenizer = text.options(chosenModel.isLanguageModel ? .character : .word)
    job.text.maximumLength = text.maxLength ?? job.text.maximumLength
    job.text.sequenceLength = text.sequenceLength ?? job.text.sequenceLength
    job.sizes = text.sizes
    text.note(in: &job.given)
    series.note(in: &job.given)
    audio.note(in: &job.given)
    data.note(in: &job.given)
    // Who says how errors of numbers count means numbers, also where whole ones could be classes.
    if steps.loss != nil { job.dataOptions.task = .regression }
    job.model = model
    job.validation = parts.validation
    job.preprocessing = parts.preprocessing?.kind
    job.log = log
    job.plot = plot
    job.checkpoints = saving.checkpointDir.map { CheckpointFolder(path: $0) }
    job.resume = saving.resume
    job.initialWeights = transfer.initFrom
    job.isQuiet = quiet
    let opened = try device.open(quiet: quiet)
    let outcome = try job.run(on: opened)
    if !quiet { device.memory.report(opened) }
    if outcome.wasCancelled { throw ExitCode(130) }
  }
}

import Apus
import Foundation

/// A training run from data to model file, as `train` and `demo` do it.
struct TrainingJob {
  var options: TrainingOptions
  var output: String
  var dataName = "digits"
  var dataOptions = DataOptions()
  var model = "mlp"
  var validation = 0.1
  var preprocessing: Preprocessing.Kind?
  /// How a table is cut into windows of time; nil for data of another kind.
  var series: SeriesOptions?
  /// How texts become tokens, for models of texts.
  var text = TextOptions()
  var sizes = RecurrentSizes()
  /// Options that must suit the kind of the data.
  var given = GivenOptions()
  var log: String?
  var plot: String?
  /// Where a checkpoint goes after every epoch.
  var checkpoints: CheckpointFolder?
  /// From where the run goes on; from the beginning for nil.
  var resume: Resume?
  /// A file whose weights the model begins with, where names and shapes fit.
  var initialWeights: String?
  var isQuiet = false

  init(options: TrainingOptions, output: String) {
    self.options = options
    self.output = output
  }

  struct Outcome {
    let history: History
    let wasCancelled: Bool
  }

  /// Trains on a device, saves after every epoch, evaluates on the test part.
  func run(on device: Device) throws -> Outcome {
    let clock = ContinuousClock.now
    // Whatever can be wrong is found before the first long step and before a file is touched.
    try DistinctPaths.require(
      written: [
        ("--output", output), ("--log", log), ("--plot", plot),
        ("--checkpoint-dir", checkpoints?.last), ("--checkpoint-dir", checkpoints?.best),
      ],
      read: [("--data", dataName), ("--model", model), ("--init-from", initialWeights)])
    try AtomicFile.requireWritable(output)
    if let plot { try AtomicFile.requireWritable(plot) }
    let task = try learningTask()
    if !isQuiet { task.notes.forEach { Console.note($0) } }
    let description = try source.description(
      inputShape: task.inputShape, classCount: task.classCount,
      vocabularySize: task.vocabularySize)
    let graph = try GraphModel(description, key: options.initialKey, on: device)
    try requireOutput(graph, of: task.outputShape)
    let checkpoint = try resumed(graph, task, on: device)
    if let initialWeights, checkpoint == nil { try initialise(graph, from: initialWeights) }
    let stored = try task.stored(graph, options, on: device)
    let trainer = try Trainer(
      model: graph, objective: try task.objective(options, on: device), options: options,
      device: device)
    try checkpoint.map(trainer.requireSameRun)
    try checkpoints?.prepare()
    let runLog = try log.map { try RunLog(path: $0, resumingAfter: checkpoint?.progress.epoch) }
    let reporter = ProgressReporter(
      epochs: options.epochs, stepsPerEpoch: trainer.stepsPerEpoch, isQuiet: isQuiet)
    announce(task, graph, device)

    let interrupt = Interrupt()
    var history = History(epochs: runLog?.keptEpochs ?? [])
    var saved: Int?
    let outcome: Trainer.Outcome
    do {
      outcome = try trainer.run(
        from: checkpoint, isCancelled: { interrupt.isRequested },
        onEvent: { event in
          try runLog?.write(event)
          history.add(event)
          reporter.show(event)
        },
        onEpoch: { checkpoint in
          // With early stopping the file holds the best model so far.
          if options.earlyStopping == nil || checkpoint.progress.isBest {
            try stored.write(to: output)
            saved = checkpoint.progress.epoch
          }
          try checkpoints?.write(checkpoint, model: stored)
        })
    } catch let error as ApusError where error.operation == "train" && saved != nil {
      throw ApusError(
        error.kind, operation: error.operation,
        "\(error.message). \(output) keeps the model after epoch \(saved ?? 0)"
          + (checkpoints.map { "; \($0.last) is the last good checkpoint" } ?? ""))
    }
    if outcome.wasCancelled {
      Console.note(
        saved.map { "\ninterrupted; \(output) holds the model after epoch \($0)" }
          ?? "\ninterrupted before the first epoch was complete; nothing was written")
      return Outcome(history: history, wasCancelled: true)
    }
    if saved != outcome.modelEpoch { try stored.write(to: output) }

    let test = try task.test(stored)
    let result = TrainingEvent.Result(
      test: test.flatMap { $0.isValidation ? nil : $0.figures },
      validation: test.flatMap { $0.isValidation ? $0.figures : nil }, device: device.name,
      epochs: outcome.epochs, steps: outcome.steps, parameters: graph.parameterCount,
      seconds: clock.duration(to: .now).seconds)
    try runLog?.write(.result(result))
    if let plot { try draw(history, test, to: plot) }
    if !isQuiet {
      if let test { try Console.print(test.summary) }
      try Console.print("model \(output) (\(String(format: "%.1f s", result.seconds)))")
    }
    return Outcome(history: history, wasCancelled: false)
  }

  private var source: ModelSource { ModelSource(model, sizes: sizes) }

  private func learningTask() throws -> any LearningTask {
    let draft = source.draft
    if draft?.isLanguageModel == true {
      try given.requireOnly([.texts, .language], otherwise: "\(model) learns from plain text")
      return try LanguageTask(dataName, validation: validation, text: text, data: dataOptions)
    }
    if draft?.takesTokens == true {
      try given.requireOnly(
        [.table, .texts, .textClasses], otherwise: "\(model) learns classes of texts")
      return try ExampleTask(
        DataSource.loadTexts(dataName, options: dataOptions), validation: validation,
        preprocessing: .some(.none), text: text, seed: options.seed)
    }
    let data: LoadedData
    if let series {
      try given.requireOnly([.table, .series], otherwise: "\(model) learns from a time series")
      data = try DataSource.loadSeries(
        dataName, series, validationFraction: validation, options: dataOptions)
    } else {
      try given.requireOnly(
        [.table, .categories, .images, .recordings], otherwise: "\(model) is none")
      data = try DataSource.load(dataName, options: dataOptions)
      try given.requireFit(to: data, dataName)
    }
    return try ExampleTask(
      data, validation: validation, preprocessing: preprocessing, seed: options.seed)
  }

  private func requireOutput(_ graph: GraphModel, of shape: [Int]) throws {
    guard graph.inputs.count == 1, graph.outputShapes == [shape] else {
      throw ApusError(
        .shape, operation: model,
        "the model's outputs have shapes \(graph.outputShapes); for the classes, numbers or tokens of "
          + "the data one output of \(shape) is needed")
    }
  }

  private func announce(_ task: any LearningTask, _ graph: GraphModel, _ device: Device) {
    guard !isQuiet else { return }
    Console.note(
      "training \(model) (\(graph.parameterCount) parameters) on \(task.summary), device \(device)")
  }

  private func draw(_ history: History, _ test: FinalTest?, to path: String) throws {
    let picture = TrainingPicture(
      history: history, confusionMatrix: test?.confusionMatrix ?? [],
      classNames: test?.classNames ?? [], accuracy: test?.figures.accuracy)
    try AtomicFile.write(Data(picture.svg().utf8), to: path)
  }
}

/// What the picture of a run needs.
struct History {
  private(set) var epochs: [TrainingEvent.Epoch]

  init(epochs: [TrainingEvent.Epoch]) { self.epochs = epochs }

  mutating func add(_ event: TrainingEvent) {
    if case .epoch(let epoch) = event { epochs.append(epoch) }
  }
}

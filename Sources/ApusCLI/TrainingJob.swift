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
    let classifier: Classifier
    let data: LoadedData
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
    let data = try DataSource.load(dataName, options: dataOptions)
    guard !data.train.isRegression else {
      throw ApusError(
        .data, operation: dataName,
        "the target is a real number; `train` learns classes. Name a column of classes with "
          + "--target, or use the library for regression")
    }
    if !isQuiet { data.notes.forEach { Console.note($0) } }
    let prepared = try prepare(data)
    let description = try describe(data.train)
    let graph = try GraphModel(description, key: options.initialKey, on: device)
    try requireClassifier(graph, classes: data.train.classCount)
    let checkpoint = try resumed(graph, on: device)
    if let initialWeights, checkpoint == nil { try initialise(graph, from: initialWeights) }
    let classifier = Classifier(
      model: graph, preprocessing: prepared.preprocessing, classNames: data.train.classNames,
      schema: data.schema,
      pixelMaximum: data.train.featureShape.count == 3 ? data.train.pixelMaximum : nil,
      imageSize: data.imageSize, device: device)
    let trainer = try Trainer(
      model: graph, training: prepared.training, validation: prepared.validation,
      preprocessing: prepared.preprocessing, options: options, device: device)
    try checkpoint.map(trainer.requireSameRun)
    try checkpoints?.prepare()
    let runLog = try log.map { try RunLog(path: $0, resumingAfter: checkpoint?.progress.epoch) }
    let reporter = ProgressReporter(
      epochs: options.epochs, stepsPerEpoch: trainer.stepsPerEpoch, isQuiet: isQuiet)
    announce(data, prepared.training.count, graph, device)

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
            try classifier.write(to: output)
            saved = checkpoint.progress.epoch
          }
          try checkpoints?.write(checkpoint, model: classifier)
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
      return Outcome(classifier: classifier, data: data, history: history, wasCancelled: true)
    }
    if saved != outcome.modelEpoch { try classifier.write(to: output) }

    let test = try data.test.map { try classifier.evaluate($0) }
    let result = TrainingEvent.Result(
      testAccuracy: test?.accuracy, testLoss: test?.loss, device: device.name,
      epochs: outcome.epochs, steps: outcome.steps, parameters: graph.parameterCount,
      seconds: clock.duration(to: .now).seconds)
    try runLog?.write(.result(result))
    if let plot { try draw(history, test, data, to: plot) }
    if !isQuiet {
      if let test {
        try Console.print(
          "test accuracy \(Console.percent(test.accuracy)) of \(data.test?.count ?? 0)")
      }
      try Console.print("model \(output) (\(String(format: "%.1f s", result.seconds)))")
    }
    return Outcome(classifier: classifier, data: data, history: history, wasCancelled: false)
  }

  private func prepare(_ data: LoadedData) throws -> (
    training: Dataset, validation: Dataset?, preprocessing: Preprocessing
  ) {
    var training = data.train
    var held = data.validation
    if held == nil, validation > 0 {
      let parts = try data.train.split(
        fraction: validation, key: RandomKey(options.seed).folded(0x7661_6C69))
      (training, held) = (parts.rest, parts.part)
    }
    let fitted = try Preprocessing.fit(preprocessing ?? data.defaultPreprocessing, on: training)
    return (training, held, fitted)
  }

  private func describe(_ data: Dataset) throws -> ModelDescription {
    try ModelSource(model).description(
      inputShape: data.featureShape, classCount: data.classCount)
  }

  private func requireClassifier(_ graph: GraphModel, classes: Int) throws {
    guard graph.inputs.count == 1, graph.outputShapes == [[classes]] else {
      throw ApusError(
        .shape, operation: model,
        "the model's outputs have shapes \(graph.outputShapes); the data has \(classes) classes, "
          + "so one output of [\(classes)] is needed")
    }
  }

  private func announce(_ data: LoadedData, _ count: Int, _ graph: GraphModel, _ device: Device) {
    guard !isQuiet else { return }
    Console.note(
      "training \(model) (\(graph.parameterCount) parameters) on \(count) examples of "
        + "\(data.train.name), device \(device)")
  }

  private func draw(
    _ history: History, _ test: Evaluation?, _ data: LoadedData, to path: String
  ) throws {
    var matrix: [[Int]] = []
    if let test, let held = data.test {
      matrix =
        try ClassificationReport(
          predictions: test.predictions, labels: held.labels, classNames: data.train.classNames
        ).confusionMatrix
    }
    let picture = TrainingPicture(
      history: history, confusionMatrix: matrix, classNames: data.train.classNames,
      accuracy: test?.accuracy)
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

import Apus
import ArgumentParser
import Foundation

/// `apus evaluate`.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a saved model on labelled data.",
    discussion: """
      Data sets known by name are judged on their test part, files as a whole. Precision, recall and
      F1 are macro averages: each class counts the same.

      Models of numbers tell mean absolute and root mean square errors in the units
      of the data. A forecast is compared with the last value and the last season
      carried on, from the first time on that training has not seen; mase is its
      error over that of a naive forecast of one step before that time.

      A language model is judged on a text: nats per token, perplexity, and bits per character.

        apus evaluate --model forecast.safetensors --data hourly.csv --season 24 --json
      """)

  @Option(help: "A model file of `apus train`.")
  var model: String

  @OptionGroup var data: DataArguments
  @OptionGroup var device: DeviceOptions

  @Option(help: "Which part of the data: test, train or all. Default: test where there is one.")
  var split: Split?

  @Option(help: "Steps of a season to compare a forecast with. Default: as in training.")
  var season: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard season ?? 1 >= 1 else { throw ValidationError("--season must be positive") }
  }

  enum Split: String, ExpressibleByArgument, CaseIterable { case test, train, all }

  func run() throws {
    let chosen = try device.open(quiet: true)
    let file = try ModelFile(path: model, on: chosen)
    guard season == nil || file.extras["forecasting"] != nil else {
      throw ApusError(
        .value, operation: "--season", "is for forecasts of time series; \(model) makes none")
    }
    if Regressor.isStored(in: file) {
      return try judge(Regressor(file, path: model, on: chosen))
    }
    if LanguageModel.isStored(in: file) {
      return try judge(LanguageModel(file, path: model, on: chosen))
    }
    let classifier = try Classifier(file, path: model, on: chosen)
    let examples = try load(classifier)
    let evaluation = try classifier.evaluate(examples)
    let report = try ClassificationReport(
      predictions: evaluation.predictions, labels: examples.labels,
      classNames: classifier.classNames)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      let result = EvaluationResult(report: report, loss: evaluation.loss)
      try Console.print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } else {
      try Console.print(text(report, evaluation.loss))
    }
  }

  private func load(_ classifier: Classifier) throws -> Dataset {
    var options = data.options(seed: 0, testFraction: 0, quiet: json)
    if let size = classifier.imageSize {
      // As in training, whatever sizes these images have.
      options.imageSize = size
      options.imageChannels = classifier.model.inputs[0].shape.first
    }
    if classifier.text != nil {
      if data.isTable, let schema = classifier.textSchema {
        let table = try schema.dataset(
          readingFrom: data.data, options: options, classNames: classifier.classNames)
        guard table.labels.count == table.count else {
          throw ApusError(
            .data, operation: data.data,
            "has no column '\(schema.targetName)'; evaluating needs the true classes")
        }
        return table
      }
      return try part(of: DataSource.loadTexts(data.data, options: options))
    }
    if data.isTable, let schema = classifier.schema {
      let table = try schema.dataset(readingFrom: data.data, options: options)
      guard table.labels.count == table.count else {
        throw ApusError(
          .data, operation: data.data,
          "has no column '\(schema.targetName)'; evaluating needs the true classes")
      }
      return table
    }
    if let features = classifier.audio { options.audio.features = features }
    return try part(of: DataSource.load(data.data, options: options))
  }

  /// The part that `--split` names.
  private func part(of loaded: LoadedData) throws -> Dataset {
    switch split {
    case nil: return loaded.test ?? loaded.train
    case .train: return loaded.train
    case .test:
      guard let test = loaded.test else {
        throw ApusError(.data, operation: data.data, "has no test part; use --split all")
      }
      return test
    case .all: return try loaded.test.map { try loaded.train.appending($0) } ?? loaded.train
    }
  }

  private func text(_ report: ClassificationReport, _ loss: Double) -> String {
    func short(_ value: Double) -> String { String(format: "%.4f", value) }
    var rows = [["class", "precision", "recall", "f1", "examples"]]
    for scores in report.classes {
      rows.append([
        scores.name, short(scores.precision), short(scores.recall), short(scores.f1),
        "\(scores.support)",
      ])
    }
    rows.append([
      "all (macro)", short(report.precision), short(report.recall), short(report.f1),
      "\(report.count)",
    ])
    var lines = ["accuracy \(Console.percent(report.accuracy))  loss \(short(loss))", ""]
    lines += [Console.table(rows), "", "confusion (rows: truth, columns: prediction)"]
    let names = report.classes.map(\.name)
    let matrix = zip(names, report.confusionMatrix).map { [$0] + $1.map(String.init) }
    lines.append(Console.table([[""] + names] + matrix))
    return lines.joined(separator: "\n")
  }
}

/// What `evaluate --json` prints.
private struct EvaluationResult: Encodable {
  let accuracy, precision, recall, f1, loss: Double
  let confusionMatrix: [[Int]]
  let count: Int
  let classes: [ClassificationReport.PerClass]

  init(report: ClassificationReport, loss: Double) {
    accuracy = report.accuracy
    precision = report.precision
    recall = report.recall
    f1 = report.f1
    confusionMatrix = report.confusionMatrix
    count = report.count
    classes = report.classes
    self.loss = loss
  }
}

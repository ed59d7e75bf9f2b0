import Apus
import Foundation

/// What is learnt from the data that a user named: which model fits, what it is trained for, what its
/// file holds, and how it is judged in the end.
protocol LearningTask {
  /// What a run is said to learn from, such as "108 examples of iris".
  var summary: String { get }
  /// What the user should know of how the data was read.
  var notes: [String] { get }
  /// Of one example, without the batch axis.
  var inputShape: [Int] { get }
  /// Of the model's single output, for one example.
  var outputShape: [Int] { get }
  /// Classes, or numbers; nil where there are neither.
  var classCount: Int? { get }
  /// What made tokens of texts; nil for other examples.
  var tokenizer: Tokenizer? { get }

  func objective(_ options: TrainingOptions, on device: Device) throws -> any Objective
  func stored(_ model: GraphModel, _ options: TrainingOptions, on device: Device)
    throws -> any StoredModel
  /// Judges what training left; nil without a test part.
  func test(_ stored: any StoredModel) throws -> FinalTest?
}

extension LearningTask {
  /// The number of different tokens; nil for other examples.
  var vocabularySize: Int? { tokenizer?.vocabularySize }
}

/// What a run found on its test part.
struct FinalTest {
  var figures: Figures
  /// Whether the part was looked at during training, for want of another.
  var isValidation = false
  /// A line for people.
  var summary: String
  /// Rows are the truth; empty for other tasks than classes.
  var confusionMatrix: [[Int]] = []
  var classNames: [String] = []
}

/// Learning from examples in memory: classes, numbers, or what follows in a series.
struct ExampleTask: LearningTask {
  private let data: LoadedData
  private let training: Dataset
  private let validation: Dataset?
  private let preprocessing: Preprocessing
  private let scaling: TargetScaling?
  /// How texts became tokens.
  private let encoding: TextEncoding?
  let notes: [String]

  /// - Parameters:
  ///   - validation: The share of the training examples to watch, where the data has no such part.
  ///   - preprocessing: What suits the data for nil.
  ///   - text: How texts become tokens.
  init(
    _ data: LoadedData, validation share: Double, preprocessing: Preprocessing.Kind?,
    text: TextOptions = TextOptions(), seed: UInt64
  ) throws {
    self.data = data
    var (training, validation) = (data.train, data.validation)
    if data.validation == nil, share > 0, data.forecast == nil {
      let parts = try data.train.split(
        fraction: share, key: RandomKey(seed).folded(0x7661_6C69))
      (training, validation) = (parts.rest, parts.part)
    }
    if training.texts != nil {
      let tokens = try text.prepare(training, validation)
      (training, validation, encoding) = (tokens.training, tokens.validation, tokens.encoding)
      notes = data.notes + [tokens.note].compactMap { $0 }
    } else {
      (encoding, notes) = (nil, data.notes)
    }
    (self.training, self.validation) = (training, validation)
    if preprocessing == nil, let forecast = data.forecast {
      self.preprocessing = forecast.preprocessing
    } else {
      self.preprocessing = try Preprocessing.fit(
        preprocessing ?? data.defaultPreprocessing, on: training)
    }
    scaling =
      training.isRegression
      ? try data.forecast?.scaling ?? TargetScaling.fit(on: training) : nil
  }

  var summary: String {
    "\(training.count) \(data.forecast == nil ? "examples" : "windows") of \(data.train.name)"
  }
  var inputShape: [Int] { training.featureShape }
  var outputShape: [Int] { [classCount ?? 0] }
  var classCount: Int? { training.isRegression ? training.targetCount : training.classCount }
  var tokenizer: Tokenizer? { encoding?.tokenizer }

  func objective(_ options: TrainingOptions, on device: Device) throws -> any Objective {
    guard let scaling else {
      return try ClassificationObjective(
        training: training, validation: validation, preprocessing: preprocessing,
        options: options, device: device)
    }
    return try RegressionObjective(
      training: training, validation: validation, preprocessing: preprocessing, scaling: scaling,
      options: options, device: device)
  }

  func stored(_ model: GraphModel, _ options: TrainingOptions, on device: Device)
    -> any StoredModel
  {
    guard let scaling else {
      let isImage = training.featureShape.count == 3 && data.audio == nil
      return Classifier(
        model: model, preprocessing: preprocessing, classNames: training.classNames,
        schema: data.schema, pixelMaximum: isImage ? data.train.pixelMaximum : nil,
        imageSize: data.imageSize, audio: data.audio, text: encoding, textSchema: data.textSchema,
        device: device)
    }
    return Regressor(
      model: model, preprocessing: preprocessing, scaling: scaling,
      loss: options.regressionLoss ?? .mse, schema: data.schema,
      forecasting: data.forecast?.forecasting, device: device)
  }

  func test(_ stored: any StoredModel) throws -> FinalTest? {
    guard let examples = data.test else { return nil }
    if let classifier = stored as? Classifier {
      let found = try classifier.evaluate(examples)
      let report = try ClassificationReport(
        predictions: found.predictions, labels: examples.labels, classNames: classifier.classNames)
      return FinalTest(
        figures: Figures(loss: found.loss, accuracy: found.accuracy),
        summary: "test accuracy \(Console.percent(found.accuracy)) of \(examples.count)",
        confusionMatrix: report.confusionMatrix, classNames: classifier.classNames)
    }
    guard let regressor = stored as? Regressor else { return nil }
    let found = try regressor.evaluate(examples)
    if let windows = data.forecast?.test {
      let report = try ForecastReport(windows, predictions: found.predictions)
      return FinalTest(
        figures: Figures(loss: found.loss, others: report.figures), summary: report.text)
    }
    let report = found.report
    return FinalTest(
      figures: Figures(loss: found.loss, others: report.figures),
      summary: "test " + report.line + " on \(report.count) numbers")
  }
}

extension RegressionReport {
  /// As a log tells them.
  var figures: [String: Double] {
    ["mae": meanAbsoluteError, "rmse": rootMeanSquaredError, "r2": coefficientOfDetermination]
  }

  var line: String {
    String(
      format: "mean absolute error %.5g  root mean square %.5g  R² %.4f", meanAbsoluteError,
      rootMeanSquaredError, coefficientOfDetermination)
  }
}

extension ForecastReport {
  /// A table of the model beside what needs no model.
  var text: String {
    func row(_ name: String, _ scores: ForecastScores) -> [String] {
      [name]
        + [scores.mae, scores.rmse, scores.mase].map {
          $0.map { String(format: "%.4f", $0) } ?? "-"
        }
    }
    var rows = [["forecast", "mae", "rmse", "mase"], row("model", model), row("naive", naive)]
    if season > 1, let seasonalNaive {
      rows.append(row("seasonal naive (\(season))", seasonalNaive))
    }
    return "\(count) windows, \(horizon) steps of \(targets.joined(separator: ", "))\n"
      + Console.table(rows)
  }
}

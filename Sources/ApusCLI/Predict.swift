import Apus
import ArgumentParser
import Foundation

/// `apus predict`.
struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Classify new examples, or forecast, with a saved model.",
    discussion: """
      Input: a .csv or .tsv table with the columns the model was trained on (the target may be
      missing), an .npy array, an IDX file, a .png or .jpg image, or a folder of images. Images are
      scaled as in training; models of fixed-size data, such as digits, take images of that size.
      Models of texts take a .csv or .tsv table with the column of texts, or plain text with a line for
      each, from a file or (-) from standard input. Models of recordings take a .wav file or a folder of them.
      Output: .csv or .json, with the probability of every class, or the number.

      A model of a time series takes a table up to now and gives the steps after
      its end, in the units of the table:

        apus predict --model forecast.safetensors --input hourly.csv --output -
      """)

  @Option(help: "A model file of `apus train`.")
  var model: String

  @Option(
    help: "The examples: .csv, .tsv, .npy, IDX (also .gz), .png, .jpg, .wav, or a folder of these.")
  var input: String

  @Option(help: "Where to write: a .csv or .json file, or - for CSV on standard output.")
  var output: String

  @OptionGroup var device: DeviceOptions

  @Flag(inversion: .prefixedNo, help: "Whether the first line of a table holds names.")
  var header: Bool?

  func run() throws {
    let kind = (output as NSString).pathExtension.lowercased()
    guard output == "-" || kind == "csv" || kind == "json" else {
      throw ApusError(
        .value, operation: output, "ends neither in .csv nor in .json; name the output so")
    }
    if output != "-" {
      try DistinctPaths.require(
        written: [("--output", output)], read: [("--input", input), ("--model", model)])
      try AtomicFile.requireWritable(output)
    }
    let chosen = try device.open(quiet: true)
    let file = try ModelFile(path: model, on: chosen)
    if Regressor.isStored(in: file) {
      let found = try numbers(Regressor(file, path: model, on: chosen))
      return try write(kind == "json" ? try found.json() : found.csv())
    }
    let classifier = try Classifier(file, path: model, on: chosen)
    let source = PredictionInput(path: input, hasHeader: header)
    let examples = try source.examples(for: classifier)
    let predictions = Predictions(
      probabilities: try classifier.probabilities(examples), classNames: classifier.classNames,
      files: try source.isFolder ? source.files(for: classifier) : nil)
    try write(kind == "json" ? try predictions.json() : predictions.csv())
  }

  private func numbers(_ regressor: Regressor) throws -> NumberPredictions {
    guard let forecasting = regressor.forecasting else {
      let source = PredictionInput(path: input, hasHeader: header)
      return try NumberPredictions(regressor, source.examples(for: regressor))
    }
    try PredictionInput(path: input, hasHeader: header).requireFile(for: "a table")
    var options = DataOptions()
    options.hasHeader = header
    let series = try TimeSeries(
      path: input, timeColumn: forecasting.timeColumn, columns: forecasting.columns,
      options: options)
    series.notes.forEach { Console.note($0) }
    return try NumberPredictions(regressor, after: series)
  }

  private func write(_ text: String) throws {
    if output == "-" {
      try Console.write(text)
    } else {
      try AtomicFile.write(Data(text.utf8), to: output)
    }
  }
}

/// Probabilities with their classes, and how they are written.
struct Predictions {
  struct Row: Encodable {
    let index: Int
    /// Where each example is a file of its own.
    let file: String?
    let prediction: String
    let probability: Float
    let probabilities: [String: Float]
  }

  let rows: [Row]
  private let classNames: [String]

  /// - Parameters:
  ///   - probabilities: Row-major `[count, classes]`.
  ///   - files: `[count]` paths, where each example is a file of its own.
  init(probabilities: [Float], classNames: [String], files: [String]? = nil) {
    self.classNames = classNames
    let classes = max(classNames.count, 1)
    rows = (0..<probabilities.count / classes).map { index in
      let row = probabilities[index * classes..<(index + 1) * classes]
      let best = row.indices.max { row[$0] < row[$1] } ?? row.startIndex
      return Row(
        index: index, file: files?[index], prediction: classNames[best - row.startIndex],
        probability: row[best],
        probabilities: Dictionary(
          zip(classNames, row), uniquingKeysWith: { first, _ in first }))
    }
  }

  func csv() -> String {
    let hasFiles = rows.contains { $0.file != nil }
    let head =
      ["index"] + (hasFiles ? ["file"] : []) + ["prediction", "probability"]
      + classNames.map { "p_\($0)" }
    let body = rows.map { row in
      ["\(row.index)"] + (hasFiles ? [row.file ?? ""] : []) + [
        row.prediction, "\(row.probability)",
      ]
        + classNames.map { "\(row.probabilities[$0] ?? 0)" }
    }
    return ([head] + body).map { $0.map(CSVField.quoted).joined(separator: ",") + "\n" }.joined()
  }

  func json() throws -> String {
    struct Document: Encodable {
      let classes: [String]
      let predictions: [Row]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let document = Document(classes: classNames, predictions: rows)
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }
}

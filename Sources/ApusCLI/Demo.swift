import Apus
import ArgumentParser
import Foundation

/// `apus demo`.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train on handwritten digits, draw the result, predict a few.",
    discussion: "Needs neither network nor files; takes some seconds.")

  @OptionGroup var device: DeviceOptions

  @Option(help: "The folder for model, picture and log.")
  var outputDir = "out"

  func run() throws {
    do {
      try FileManager.default.createDirectory(
        atPath: outputDir, withIntermediateDirectories: true)
    } catch {
      throw ApusError(
        .file, operation: outputDir, "cannot be made: \(error.fileReason)")
    }
    let chosen = try device.open(quiet: false)
    var options = TrainingOptions()
    options.seed = 1
    var job = TrainingJob(options: options, output: path("digits.safetensors"))
    job.log = path("digits.jsonl")
    job.plot = path("digits.svg")
    let outcome = try job.run(on: chosen)
    if outcome.wasCancelled { throw ExitCode(130) }
    try Console.print("picture \(path("digits.svg"))")

    // From the file alone, as another program would.
    let classifier = try Classifier(path: path("digits.safetensors"), on: chosen)
    guard let test = try DataSource.load("digits").test else { return }
    let examples = try test.subset(Array(stride(from: 7, to: test.count, by: test.count / 5)))
    let probabilities = try classifier.probabilities(examples)
    let predictions = Predictions(
      probabilities: probabilities, classNames: classifier.classNames)
    try Console.print("\na few digits the model has not seen:\n")
    try Console.print(pictures(of: examples, predictions))
  }

  private func path(_ name: String) -> String {
    outputDir.hasSuffix("/") ? outputDir + name : "\(outputDir)/\(name)"
  }

  /// Digits side by side in characters, with prediction and truth below.
  private func pictures(of examples: Dataset, _ predictions: Predictions) throws -> String {
    let values = try examples.features
    let shades = Array(" .:-=+*#%@")
    let (height, width) = (examples.featureShape[1], examples.featureShape[2])
    let size = height * width
    var lines = (0..<height).map { row in
      (0..<examples.count).map { example in
        (0..<width).map { column in
          let value = values[example * size + row * width + column] / 16
          let shade = shades[min(max(Int(value * 9.99), 0), 9)]
          return "\(shade)\(shade)"
        }.joined()
      }.joined(separator: "  ")
    }
    func captions(_ texts: [String]) -> String {
      texts.map { $0.padding(toLength: width * 2, withPad: " ", startingAt: 0) }
        .joined(separator: "  ")
    }
    lines.append(
      captions(
        predictions.rows.map { "says \($0.prediction) (\(Int($0.probability * 100)) %)" }))
    lines.append(captions(examples.labels.map { "is   \(examples.classNames[Int($0)])" }))
    return lines.joined(separator: "\n")
  }
}

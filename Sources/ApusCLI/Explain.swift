import Apus
import ArgumentParser
import Foundation

/// `apus explain`.
struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a model of images sees in one of them.",
    discussion: """
      Writes PNG pictures and a page index.html that shows them together: the filters of the first
      convolution, the feature maps of all, and a Grad-CAM overlay (Selvaraju et al. 2017) of where
      the evidence for a class lies.
      """)

  @Option(help: "A model file with convolutions.")
  var model: String

  @Option(help: "An image as `apus predict` takes it, or an array of them.")
  var input: String

  @Option(help: "The folder to write to; it is made where it is missing.")
  var outputDir: String

  @Option(
    name: .customLong("class"), help: "The class to explain, by name. Default: the most probable.")
  var className: String?

  @Option(help: "Which example of an array, from 0.")
  var index = 0

  @OptionGroup var device: DeviceOptions

  func run() throws {
    let classifier = try Classifier(path: model, on: try device.open(quiet: true))
    let chosen = try className.map { name in
      guard let index = classifier.classNames.firstIndex(of: name) else {
        throw ApusError(
          .value, operation: "--class",
          "'\(name)' is none of the classes \(classifier.classNames.joined(separator: ", "))")
      }
      return index
    }
    let examples = try PredictionInput(path: input, hasHeader: nil).examples(for: classifier)
    guard examples.count > index, index >= 0 else {
      throw ApusError(
        .value, operation: "--index",
        "there is no example \(index); \(input) holds \(examples.count), numbered from 0")
    }
    let explanation = try Explanation(
      of: classifier, examples, index: index, classIndex: chosen)
    let file = (input as NSString).lastPathComponent
    let files = try explanation.write(
      to: outputDir, title: "\(file): \(explanation.classNames[explanation.classIndex])")
    let probability = explanation.probabilities[explanation.classIndex]
    try Console.print(
      "\(explanation.classNames[explanation.classIndex]) "
        + "\(Console.percent(Double(probability)))")
    try Console.print(
      "page \((outputDir as NSString).appendingPathComponent(files[0])) "
        + "(\(files.count - 1) pictures)")
  }
}

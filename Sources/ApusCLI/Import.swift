import Apus
import ArgumentParser
import Foundation

/// `apus import`.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model file from weights that another program trained.",
    discussion: """
      The weights are a safetensors file with PyTorch's names (a state_dict); names and shapes must be
      those of the model, but for the counters `num_batches_tracked`, which are ignored. Pixels are
      bytes: the model gets (x / 255 - mean) / std per channel.

        apus import --model resnet20 --weights resnet20.safetensors --input-shape 3,32,32 \\
          --classes airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck \\
          --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --output model.safetensors
      """)

  @Option(help: "A preset (see `apus presets`) or the path of a JSON description.")
  var model: String

  @Option(help: "The safetensors file with the weights.")
  var weights: String

  @Option(help: "The shape of one example, such as 3,32,32.")
  var inputShape: String

  @Option(help: "The classes in order, with commas; or how many there are.")
  var classes: String

  @Option(help: "Per channel (or one for all) what is subtracted from x / 255.")
  var mean = "0"

  @Option(help: "Per channel (or one for all) what the difference is divided by.")
  var std = "1"

  @Option(help: "The greatest value of the data, which becomes 1 before mean and std.")
  var pixelMaximum: Float = 255

  @Option(help: "The model file to write.")
  var output: String

  private var shape: [Int]? { ModelSource.inputShape(inputShape) }

  private var classNames: [String]? {
    if let count = Int(classes) {
      return (1...1 << 20).contains(count) ? (0..<count).map(String.init) : nil
    }
    let names = classes.split(separator: ",", omittingEmptySubsequences: false).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    return names.contains("") || Set(names).count < names.count ? nil : names
  }

  private func numbers(_ text: String, channels: Int) -> [Float]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map {
      Float($0.trimmingCharacters(in: .whitespaces))
    }
    let found = parts.compactMap { $0 }
    guard found.count == parts.count, found.allSatisfy(\.isFinite),
      found.count == 1 || found.count == channels
    else { return nil }
    return found.count == 1 ? [Float](repeating: found[0], count: channels) : found
  }

  func validate() throws {
    guard let shape else {
      throw ValidationError("--input-shape takes positive whole numbers with commas")
    }
    guard classNames != nil else {
      throw ValidationError("--classes takes a number, or different names with commas")
    }
    guard numbers(mean, channels: shape[0]) != nil,
      let divisors = numbers(std, channels: shape[0]), divisors.allSatisfy({ $0 > 0 })
    else {
      throw ValidationError(
        "--mean and --std take one number or \(shape[0]), one for each channel; --std positive ones"
      )
    }
    guard pixelMaximum > 0, pixelMaximum.isFinite else {
      throw ValidationError("--pixel-maximum must be positive")
    }
  }

  func run() throws {
    guard let shape, let classNames, let mean = numbers(mean, channels: shape[0]),
      let deviation = numbers(std, channels: shape[0])
    else { return }
    try DistinctPaths.require(
      written: [("--output", output)], read: [("--weights", weights), ("--model", model)])
    try AtomicFile.requireWritable(output)
    let description = try ModelSource(model).description(
      inputShape: shape, classCount: classNames.count)
    let device = try Devices.named("cpu")
    let graph = try ModelFile.graph(description, weights: weights, on: device)
    guard graph.outputShapes == [[classNames.count]] else {
      throw ApusError(
        .shape, operation: model,
        "the model's outputs have shapes \(graph.outputShapes); one of [\(classNames.count)] is "
          + "needed")
    }
    try Classifier(
      model: graph,
      preprocessing: .standardizeChannels(
        mean: mean.map { $0 * pixelMaximum }, deviation: deviation.map { $0 * pixelMaximum }),
      classNames: classNames, pixelMaximum: pixelMaximum, device: device
    ).write(to: output)
    try Console.print(
      "model \(output) (\(graph.parameterCount) parameters, \(classNames.count) classes)")
  }
}

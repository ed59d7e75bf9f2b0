import Apus
import ArgumentParser
import Foundation

/// `apus summary`.
struct Summary: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a model's layers, shapes, parameters and memory.")

  @Option(help: "A preset, a JSON description or a model file.")
  var model: String

  @Option(help: "The shape of one example for a preset, such as 1,28,28.")
  var inputShape = "1,28,28"

  @Option(help: "The number of classes for a preset.")
  var classes = 10

  @Option(help: "The number of tokens for a preset of texts, whose input shape is a length.")
  var vocabulary = 1000

  @Option(help: "Examples at once, for the memory estimate.")
  var batchSize = 64

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    struct Row: Encodable {
      let name: String
      let type: String
      let outputShape: [Int]
      let parameters: Int
    }
    let name: String
    let inputShape: [Int]
    let layers: [Row]
    let parameters: Int
    let parameterBytes: Int
    let activationBytes: Int
  }

  func validate() throws {
    guard shape != nil, (1...1 << 24).contains(classes), (1...1 << 24).contains(batchSize),
      (1...Tokenizer.sizeLimit).contains(vocabulary)
    else {
      throw ValidationError(
        "--input-shape takes positive numbers with commas, --classes and --batch-size a number "
          + "from 1 to \(1 << 24), --vocabulary one up to \(Tokenizer.sizeLimit)")
    }
  }

  private var shape: [Int]? {
    let parts = inputShape.split(separator: ",", omittingEmptySubsequences: false).map {
      Int($0.trimmingCharacters(in: .whitespaces))
    }
    let numbers = parts.compactMap { $0 }
    return numbers.count == parts.count && numbers.allSatisfy { $0 > 0 } ? numbers : nil
  }

  func run() throws {
    let graph = try load()
    let outputs = graph.nodes.reduce(0) { $0 + $1.outputShape.reduce(1, *) }
    let report = Report(
      name: graph.description.name ?? model, inputShape: graph.inputs[0].shape,
      layers: graph.nodes.map {
        Report.Row(
          name: $0.name, type: $0.type, outputShape: $0.outputShape,
          parameters: $0.parameterCount)
      },
      parameters: graph.parameterCount, parameterBytes: graph.parameterCount * 4,
      activationBytes: outputs * 4 * batchSize)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      try Console.print(String(decoding: try encoder.encode(report), as: UTF8.self))
      return
    }
    var rows = [["layer", "type", "output", "parameters"]]
    for input in graph.inputs { rows.append([input.name, "Input", "\(input.shape)", "0"]) }
    for row in report.layers {
      rows.append([row.name, row.type, "\(row.outputShape)", "\(row.parameters)"])
    }
    try Console.print(Console.table(rows))
    try Console.print(
      """

      parameters   \(report.parameters) (\(size(report.parameterBytes)))
      activations  \(size(report.activationBytes)) for a batch of \(batchSize)
      training     about \(size(report.parameterBytes * 4 + report.activationBytes * 2)) with Adam
      """)
  }

  private func load() throws -> GraphModel {
    let device = try Devices.named("reference")
    if model.hasSuffix(".safetensors") { return try ModelFile(path: model, on: device).model }
    let source = ModelSource(model)
    if !Preset.all.contains(where: { $0.name == model }),
      FileManager.default.fileExists(atPath: model)
    {
      var description = try source.read()
      if description.inputShape == nil, description.inputShapes == nil {
        description.inputShape = shape
      }
      if description.classCount == nil { description.classCount = classes }
      if description.vocabularySize == nil { description.vocabularySize = vocabulary }
      return try GraphModel(description, key: RandomKey(0), on: device)
    }
    let takesTokens = source.draft?.takesTokens == true
    return try GraphModel(
      try source.description(
        inputShape: takesTokens && shape?.count != 1 ? [64] : shape ?? [], classCount: classes,
        vocabularySize: takesTokens ? vocabulary : nil), key: RandomKey(0), on: device)
  }

  private func size(_ bytes: Int) -> String {
    bytes < 1 << 20
      ? String(format: "%.1f KiB", Double(bytes) / 0x1p10)
      : String(format: "%.1f MiB", Double(bytes) / 0x1p20)
  }
}

/// `apus presets`.
struct Presets: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the models that --model knows by name.")

  func run() throws {
    for preset in Preset.all {
      let name = preset.name.padding(toLength: 15, withPad: " ", startingAt: 0)
      try Console.print("\(name)  \(preset.summary)")
    }
  }
}

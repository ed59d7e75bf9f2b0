import Apus
import Foundation

/// What `--model` names for training: a preset or a JSON description.
struct ModelSource {
  let name: String
  /// Sizes of recurrent models that differ from what the description says.
  private let sizes: RecurrentSizes

  init(_ name: String, sizes: RecurrentSizes = RecurrentSizes()) {
    self.name = name
    self.sizes = sizes
  }

  /// The extents of a text such as `1,28,28`; nil where it is no such text.
  static func inputShape(_ text: String) -> [Int]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map {
      Int($0.trimmingCharacters(in: .whitespaces))
    }
    let numbers = parts.compactMap { $0 }
    return numbers.count == parts.count && numbers.allSatisfy { $0 > 0 }
      ? numbers : nil
  }

  /// The description before the data is known; nil where there is none of that name.
  var draft: ModelDescription? {
    if let preset = Preset.all.first(where: { $0.name == name }) {
      return preset.description(inputShape: [1], classCount: 2)
    }
    return FileManager.default.fileExists(atPath: name) ? try? read() : nil
  }

  var isLanguageModel: Bool { draft?.isLanguageModel ?? false }
  /// Whether it is one, as far as the name alone tells.
  var isLanguageModelPreset: Bool {
    Preset.all.contains { $0.name == name } && isLanguageModel
  }

  func description(
    inputShape: [Int], classCount: Int?, vocabularySize: Int? = nil
  ) throws -> ModelDescription {
    try plain(inputShape, classCount, vocabularySize).with(sizes)
  }

  private func plain(
    _ inputShape: [Int], _ classCount: Int?, _ vocabularySize: Int?
  ) throws -> ModelDescription {
    if Preset.all.contains(where: { $0.name == name }) {
      return try Preset.named(name)
        .description(inputShape: inputShape, classCount: classCount ?? 0)
        .resolved(
          inputShape: inputShape, classCount: classCount, vocabularySize: vocabularySize)
    }
    guard FileManager.default.fileExists(atPath: name) else {
      // Says which presets there are.
      _ = try Preset.named(name)
      throw ApusError(.file, operation: name, "there is no such file")
    }
    return try read().resolved(
      inputShape: inputShape, classCount: classCount, vocabularySize: vocabularySize)
  }

  /// The description in a JSON file.
  func read() throws -> ModelDescription {
    guard !Safetensors.isBeginning(of: name) else {
      throw ApusError(
        .file, operation: name,
        "is a file of weights; a preset or a JSON description is needed here (`apus train` begins with "
          + "the weights of a file by --init-from)")
    }
    do {
      let json = try Data(contentsOf: URL(fileURLWithPath: name))
      return try ModelDescription(json: json, source: name)
    } catch let error as ApusError {
      throw error
    } catch {
      throw ApusError(.file, operation: name, "cannot be read: \(error.fileReason)")
    }
  }
}

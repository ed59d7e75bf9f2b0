import Apus
import Foundation

/// What `--model` names for training: a preset or a JSON description.
struct ModelSource {
  private let name: String

  init(_ name: String) { self.name = name }

  func description(inputShape: [Int], classCount: Int) throws -> ModelDescription {
    if Preset.all.contains(where: { $0.name == name }) {
      return try Preset.named(name).description(inputShape: inputShape, classCount: classCount)
    }
    guard FileManager.default.fileExists(atPath: name) else {
      // Says which presets there are.
      _ = try Preset.named(name)
      throw ApusError(.file, operation: name, "there is no such file")
    }
    return try read().resolved(inputShape: inputShape, classCount: classCount)
  }

  /// The description in a JSON file.
  func read() throws -> ModelDescription {
    do {
      let json = try Data(contentsOf: URL(fileURLWithPath: name))
      return try ModelDescription(json: json, source: name)
    } catch let error as ApusError {
      throw error
    } catch {
      throw ApusError(.file, operation: name, "cannot be read: \(error.localizedDescription)")
    }
  }
}

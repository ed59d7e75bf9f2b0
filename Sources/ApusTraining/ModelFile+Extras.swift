import ApusDevice
import ApusNN
import Foundation

extension ModelFile {
  /// A value among the further texts; nil where it is not there.
  /// - Throws: ``ApusError`` naming the file where it is damaged.
  package func decoded<T: Decodable>(_ key: String, as type: T.Type, path: String) throws -> T? {
    guard let json = extras[key] else { return nil }
    do {
      return try JSONDecoder().decode(type, from: Data(json.utf8))
    } catch {
      throw ApusError(.file, operation: path, "its metadata 'apus.\(key)' is damaged: \(error)")
    }
  }

  /// A value as such a text.
  package static func text(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

import ApusDevice

/// Reads attributes of one layer, and complains about those nobody asked for.
struct AttributeReader {
  let layer: LayerDescription
  private let names: [String: Int]
  private var asked: Set<String> = []

  /// - Parameter names: What stands for a number, such as `classCount`.
  init(_ layer: LayerDescription, names: [String: Int]) {
    self.layer = layer
    self.names = names
  }

  func error(_ message: String) -> ApusError {
    ApusError(.data, operation: "layer '\(layer.name)' (\(layer.type))", message)
  }

  mutating func number(_ key: String, default value: Double) throws -> Double {
    try number(key) ?? value
  }

  /// nil where it is left out.
  mutating func number(_ key: String) throws -> Double? {
    asked.insert(key)
    switch layer.attributes[key] {
    case nil: return nil
    case .number(let number): return number
    case .list(let list): throw error("'\(key)' must be a number, not \(list)")
    case .numbers(let list): throw error("'\(key)' must be a number, not \(list)")
    default: throw error("'\(key)' must be a number")
    }
  }

  mutating func float(_ key: String, default value: Float) throws -> Float {
    Float(try number(key, default: Double(value)))
  }

  /// A whole number, `"classCount"` or `"vocabularySize"`.
  mutating func integer(_ key: String, default value: Int? = nil) throws -> Int {
    asked.insert(key)
    switch layer.attributes[key] {
    case .text(let name) where ["classCount", "vocabularySize"].contains(name):
      guard let number = names[name] else {
        throw error(
          "'\(key)' is '\(name)', but neither the description nor the data has "
            + (name == "classCount" ? "classes" : "a vocabulary"))
      }
      return number
    case .number(let number):
      guard let whole = Int(exactly: number) else { throw error("'\(key)' must be a whole number") }
      return whole
    case nil:
      guard let value else { throw error("needs '\(key)', a whole number") }
      return value
    default: throw error("'\(key)' must be a whole number or \"classCount\"")
    }
  }

  mutating func bool(_ key: String, default value: Bool) throws -> Bool {
    asked.insert(key)
    switch layer.attributes[key] {
    case nil: return value
    case .bool(let bool): return bool
    default: throw error("'\(key)' must be true or false")
    }
  }

  mutating func text(_ key: String) throws -> String? {
    asked.insert(key)
    switch layer.attributes[key] {
    case nil: return nil
    case .text(let text): return text
    default: throw error("'\(key)' must be a text")
    }
  }

  mutating func list(_ key: String, default value: [Int]) throws -> [Int] {
    asked.insert(key)
    switch layer.attributes[key] {
    case nil: return value
    case .list(let list): return list
    case .number(let number):
      guard let whole = Int(exactly: number) else { throw error("'\(key)' must be whole numbers") }
      return [whole]
    case .numbers(let numbers):
      throw error("'\(key)' must be a list of whole numbers, not \(numbers)")
    default: throw error("'\(key)' must be a list of whole numbers")
    }
  }

  func finish() throws {
    let unknown = Set(layer.attributes.keys).subtracting(asked).sorted()
    if !unknown.isEmpty {
      throw error(
        "does not know \(unknown.map { "'\($0)'" }.joined(separator: ", "))"
          + (asked.isEmpty ? "" : "; it knows \(asked.sorted().joined(separator: ", "))"))
    }
  }
}

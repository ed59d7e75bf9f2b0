import ApusDevice
import Foundation

/// One named layer of a ``ModelDescription``.
///
/// In JSON the attributes stand beside `name`, `type` and `inputs`.
public struct LayerDescription: Sendable, Hashable, Codable {
  public var name: String
  /// The layer's type, such as `Linear`.
  public var type: String
  /// Names of earlier layers or inputs; the layer before for nil.
  public var inputs: [String]?
  public var attributes: [String: AttributeValue]

  public init(
    name: String, type: String, inputs: [String]? = nil,
    attributes: [String: AttributeValue] = [:]
  ) {
    self.name = name
    self.type = type
    self.inputs = inputs
    self.attributes = attributes
  }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    name = try values.decode(String.self, forKey: Key(stringValue: "name"))
    type = try values.decode(String.self, forKey: Key(stringValue: "type"))
    inputs = try values.decodeIfPresent([String].self, forKey: Key(stringValue: "inputs"))
    attributes = [:]
    for key in values.allKeys where !["name", "type", "inputs"].contains(key.stringValue) {
      attributes[key.stringValue] = try values.decode(AttributeValue.self, forKey: key)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(name, forKey: Key(stringValue: "name"))
    try values.encode(type, forKey: Key(stringValue: "type"))
    try values.encodeIfPresent(inputs, forKey: Key(stringValue: "inputs"))
    for (key, value) in attributes { try values.encode(value, forKey: Key(stringValue: key)) }
  }
}

/// A number, truth value, text or list of whole numbers in a description.
public enum AttributeValue: Sendable, Hashable, Codable {
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([Int])

  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else {
      self = .list(try value.decode([Int].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .bool(let bool): try value.encode(bool)
    case .number(let number):
      if let whole = Int(exactly: number) {
        try value.encode(whole)
      } else {
        try value.encode(number)
      }
    case .text(let text): try value.encode(text)
    case .list(let list): try value.encode(list)
    }
  }
}

extension AttributeValue: ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral
{
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(stringLiteral value: String) { self = .text(value) }
  public init(arrayLiteral elements: Int...) { self = .list(elements) }
}

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

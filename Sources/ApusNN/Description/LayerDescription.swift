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

  /// Any key.
  struct Key: CodingKey {
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
      guard let value = try? values.decode(AttributeValue.self, forKey: key) else {
        throw ApusError(
          .data, operation: "layer '\(name)'",
          "layer '\(name)' (\(type)): '\(key.stringValue)' must be a number, true or false, a text or "
            + "a list of numbers")
      }
      attributes[key.stringValue] = value
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

/// A number, truth value, text or list of numbers in a description.
public enum AttributeValue: Sendable, Hashable, Codable {
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([Int])
  /// A list of numbers not all of which are whole, which no attribute takes.
  case numbers([Double])

  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([Int].self) {
      self = .list(list)
    } else {
      self = .numbers(try value.decode([Double].self))
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
    case .numbers(let numbers): try value.encode(numbers)
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

import ApusDevice
import ApusTensor

/// A part of a model: a type whose stored properties are parameters, other modules, or arrays,
/// dictionaries and optionals of them.
///
/// ```swift
/// struct Block: Layer {
///   let fc1, fc2: Linear
///   func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
///     try x + fc2(fc1(x, context).relu(), context)
///   }
/// }
/// ```
/// Parameter names follow property names, as in a PyTorch `state_dict`: `fc1.weight`.
public protocol Module: Sendable {
  /// Parameters with their names; found by reflection unless implemented.
  func namedParameters() -> [NamedParameter]
}

/// A parameter and the path that leads to it.
public struct NamedParameter: Sendable {
  public let name: String
  public let parameter: Parameter

  public init(name: String, parameter: Parameter) {
    self.name = name
    self.parameter = parameter
  }
}

/// A module with one input and one output.
public protocol Layer: Module {
  /// - Parameter context: Mode, tape and random key of the pass.
  func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor
}

/// A layer on sequences whose rows may have different lengths.
public protocol SequenceLayer: Layer {
  /// - Parameter lengths: How many steps of each row count, at least 1; all for nil. What follows in a row
  ///   has no influence.
  func callAsFunction(_ x: Tensor, lengths: [Int]?, _ context: Context) throws -> Tensor
}

extension SequenceLayer {
  /// All steps count.
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try self(x, lengths: nil, context)
  }
}

extension Module {
  public func namedParameters() -> [NamedParameter] {
    var found: [NamedParameter] = []
    collect(Mirror(reflecting: self), prefix: "", into: &found)
    return found
  }

  /// Every parameter once, in the order of the properties.
  public func parameters() -> [Parameter] {
    var seen = Set<ObjectIdentifier>()
    return namedParameters().map(\.parameter).filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  /// The number of scalars in all parameters; statistics are none.
  public var parameterCount: Int { parameters().reduce(0) { $0 + $1.learnableCount } }

  /// Moves all parameters to another device: all of them, or none where it has no room.
  public func move(to device: Device) throws {
    let moved = try parameters().map { ($0, try $0.value.to(device)) }
    for (parameter, value) in moved { try parameter.assign(value) }
  }

  /// Freezes or unfreezes all parameters, as for transfer learning.
  public func setTrainable(_ isTrainable: Bool) {
    for parameter in parameters() { parameter.isTrainable = isTrainable }
  }

  /// The values by name.
  public func state() -> [String: Tensor] {
    var state: [String: Tensor] = [:]
    for named in namedParameters() { state[named.name] = named.parameter.value }
    return state
  }

  /// Replaces all values by name. Nothing is changed unless everything fits. The counter
  /// `num_batches_tracked` of PyTorch's batch normalisation is ignored.
  /// - Throws: ``ApusError`` naming missing, unexpected and ill-shaped entries.
  public func load(_ state: [String: Tensor]) throws {
    let named = namedParameters()
    let known = Set(named.map(\.name))
    let missing = known.subtracting(state.keys).sorted()
    let unexpected = Set(state.keys).subtracting(known)
      .filter { !isBatchCounter($0, beside: known) }.sorted()
    let misshapen = named.compactMap { entry -> String? in
      guard let value = state[entry.name] else { return nil }
      return value.shape == entry.parameter.shape && value.dtype == entry.parameter.dtype
        ? nil
        : "\(entry.name) is \(value.dtype)\(value.shape), expected "
          + "\(entry.parameter.dtype)\(entry.parameter.shape)"
    }
    var complaints: [String] = []
    if !missing.isEmpty { complaints.append("missing: \(missing.joined(separator: ", "))") }
    if !unexpected.isEmpty {
      complaints.append("unexpected: \(unexpected.joined(separator: ", "))")
    }
    complaints += misshapen
    guard complaints.isEmpty else {
      throw ApusError(
        .data, operation: "load",
        "the values do not fit the model; \(complaints.joined(separator: "; "))")
    }
    for entry in named {
      guard let value = state[entry.name] else { continue }
      try entry.parameter.assign(try value.to(entry.parameter.device))
    }
  }
}

/// Whether a name is that of PyTorch's counter of batches, which only its cumulative averages need.
func isBatchCounter(_ name: String, beside known: Set<String>) -> Bool {
  let counter = "num_batches_tracked"
  guard name.hasSuffix(counter) else { return false }
  return known.contains(name.dropLast(counter.count) + "running_mean")
}

private func collect(_ mirror: Mirror, prefix: String, into found: inout [NamedParameter]) {
  if let parent = mirror.superclassMirror { collect(parent, prefix: prefix, into: &found) }
  for (index, child) in mirror.children.enumerated() {
    visit(child.value, name: prefix + (child.label ?? "\(index)"), into: &found)
  }
}

private func visit(_ value: Any, name: String, into found: inout [NamedParameter]) {
  if let parameter = value as? Parameter {
    found.append(NamedParameter(name: name, parameter: parameter))
  } else if let module = value as? any Module {
    found += module.namedParameters().map {
      NamedParameter(name: "\(name).\($0.name)", parameter: $0.parameter)
    }
  } else {
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .optional:
      if let some = mirror.children.first { visit(some.value, name: name, into: &found) }
    case .collection:
      for (index, child) in mirror.children.enumerated() {
        visit(child.value, name: "\(name).\(index)", into: &found)
      }
    case .dictionary:
      let pairs = mirror.children.compactMap { child -> (String, Any)? in
        let pair = Mirror(reflecting: child.value).children.map(\.value)
        return pair.count == 2 ? ("\(pair[0])", pair[1]) : nil
      }
      for (key, inner) in pairs.sorted(by: { $0.0 < $1.0 }) {
        visit(inner, name: "\(name).\(key)", into: &found)
      }
    case .tuple:
      collect(mirror, prefix: "\(name).", into: &found)
    default: break
    }
  }
}

extension Parameter {
  /// Scalars that training may learn.
  var learnableCount: Int { isStatistic ? 0 : count }
}

import ApusDevice
import ApusTensor

/// What ``Module/loadMatching(_:)`` did, by names in alphabetical order.
public struct PartialLoad: Sendable, Hashable {
  /// Taken over.
  public var loaded: [String] = []
  /// Parameters without a value of that name; they stay as they are.
  public var missing: [String] = []
  /// Values whose shape or element type is another, with both.
  public var misshapen: [String] = []
  /// Values without a parameter of that name.
  public var unused: [String] = []
}

extension Module {
  /// Takes over the values that fit by name, shape and element type, as a model for a related task
  /// does with the weights of another; the rest stays.
  public func loadMatching(_ state: [String: Tensor]) throws -> PartialLoad {
    var result = PartialLoad()
    let named = namedParameters().sorted { $0.name < $1.name }
    for entry in named {
      guard let value = state[entry.name] else {
        result.missing.append(entry.name)
        continue
      }
      let parameter = entry.parameter
      guard value.shape == parameter.shape, value.dtype == parameter.dtype else {
        result.misshapen.append(
          "\(entry.name) (\(value.dtype)\(value.shape), here \(parameter.dtype)\(parameter.shape))")
        continue
      }
      try parameter.assign(try value.to(parameter.device))
      result.loaded.append(entry.name)
    }
    result.unused = Set(state.keys).subtracting(named.map(\.name)).sorted()
    return result
  }

  /// Freezes the parameters whose names begin with `prefix`.
  /// - Throws: ``ApusError`` that lists the names where none does.
  public func freeze(prefix: String) throws {
    let named = namedParameters()
    let chosen = named.filter { $0.name.hasPrefix(prefix) }
    guard !chosen.isEmpty else {
      throw ApusError(
        .value, operation: "freeze",
        "no parameter's name begins with '\(prefix)'; there are "
          + named.prefix(20).map(\.name).joined(separator: ", ") + (named.count > 20 ? ", …" : ""))
    }
    for entry in chosen { entry.parameter.isTrainable = false }
  }
}

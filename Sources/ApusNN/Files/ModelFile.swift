import ApusDevice
import ApusTensor
import Foundation

/// A model in one safetensors file that alone is enough to predict: weights under PyTorch's names,
/// and in the metadata the description, class names, and what the caller adds (preprocessing).
public struct ModelFile: Sendable {
  public let model: GraphModel
  public var classNames: [String]
  /// Further texts by key, such as `preprocessing`.
  public var extras: [String: String]

  public init(_ model: GraphModel, classNames: [String] = [], extras: [String: String] = [:]) {
    self.model = model
    self.classNames = classNames
    self.extras = extras
  }

  /// How the names of tensors begin that are no weights: what a checkpoint holds beside the model.
  package static let furtherTensors = "checkpoint/"
  private static let prefix = "apus."
  private static let version = "1"

  /// Reads a model and puts its weights on a device.
  /// - Throws: ``ApusError`` that names the file and what does not fit.
  public init(path: String, on device: Device) throws {
    let file = try Safetensors(path: path)
    func wrong(_ message: String) -> ApusError { ApusError(.file, operation: path, message) }
    guard let version = file.metadata["apus.version"], let json = file.metadata["apus.description"]
    else {
      throw wrong(
        "holds weights but no Apus model description; write it with `apus train`, or load the "
          + "tensors by name into a model of your own")
    }
    guard version == Self.version else {
      throw wrong("was written in version \(version) of the format, this reads \(Self.version)")
    }
    let description = try ModelDescription(json: Data(json.utf8), source: path)
    do {
      model = try GraphModel(
        description,
        state: try file.values.reduce(into: [:]) {
          if !$1.hasPrefix(Self.furtherTensors) { $0[$1] = try file.tensor($1, on: device) }
        })
    } catch let error as ApusError {
      throw ApusError(error.kind, operation: path, "[\(error.operation)] \(error.message)")
    }
    classNames = []
    if let names = file.metadata["apus.classNames"] {
      guard let list = try? JSONDecoder().decode([String].self, from: Data(names.utf8)) else {
        throw wrong("'apus.classNames' is no JSON list of texts")
      }
      guard Set(list).count == list.count else {
        throw wrong("'apus.classNames' names a class twice")
      }
      classNames = list
    }
    extras = [:]
    for (key, value) in file.metadata
    where key.hasPrefix(Self.prefix)
      && ![
        "apus.version", "apus.description", "apus.classNames", "apus.checksum", "apus.checkpoint",
      ].contains(key)
    {
      extras[String(key.dropFirst(Self.prefix.count))] = value
    }
  }

  /// Writes the model, atomically. Waits for the device.
  public func write(to path: String) throws {
    try Safetensors.write(model.state(), metadata: try metadata(), to: path)
  }

  /// The texts beside the tensors.
  package func metadata() throws -> [String: String] {
    var metadata = [
      "apus.version": Self.version,
      "apus.description": try model.description.json(),
    ]
    if !classNames.isEmpty {
      metadata["apus.classNames"] = String(
        decoding: try JSONEncoder().encode(classNames), as: UTF8.self)
    }
    for (key, value) in extras { metadata[Self.prefix + key] = value }
    return metadata
  }

  /// A described model with the weights of a safetensors file that another program wrote: a PyTorch
  /// `state_dict` whose names and shapes are those of the model. Shorter floats become `float32`.
  /// - Throws: ``ApusError`` that names the file and what does not fit, and the tensor and its first element
  ///   that is not finite as `float32`, or is a negative variance.
  public static func graph(
    _ description: ModelDescription, weights path: String, on device: Device
  ) throws -> GraphModel {
    var state = try Safetensors(path: path).tensors(on: device)
    for (name, tensor) in state.sorted(by: { $0.key < $1.key }) {
      let isShorter = [.float16, .bfloat16, .float64].contains(tensor.dtype)
      let narrow = isShorter ? try tensor.to(.float32) : tensor
      try requireUsable(tensor, as: narrow, name, path)
      state[name] = narrow
    }
    do {
      return try GraphModel(description, state: state)
    } catch let error as ApusError {
      throw ApusError(error.kind, operation: path, "[\(error.operation)] \(error.message)")
    }
  }

  private static func requireUsable(
    _ tensor: Tensor, as narrow: Tensor, _ name: String, _ path: String
  ) throws {
    func wrong(_ message: String) -> ApusError {
      ApusError(.data, operation: path, "tensor '\(name)' has \(message)")
    }
    guard narrow.dtype == .float32 else { return }
    let values = try narrow.scalars()
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      let place = NotFinite.place(index, narrow.shape)
      let given =
        tensor.dtype == .float64
        ? try tensor.scalars(as: Double.self)[index] : Double(values[index])
      throw wrong(
        "\(given) at \(place)"
          + (given.isFinite ? ", which float32 cannot hold" : "; weights must be finite"))
    }
    guard name == "running_var" || name.hasSuffix(".running_var") else { return }
    if let index = values.firstIndex(where: { $0 < 0 }) {
      throw wrong(
        "\(values[index]) at \(NotFinite.place(index, narrow.shape)); a variance is not negative")
    }
  }
}

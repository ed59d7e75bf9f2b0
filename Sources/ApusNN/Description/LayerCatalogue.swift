import ApusDevice
import ApusTensor

/// A layer made from its description, with the shapes that go in and come out (without batch axis).
struct BuiltLayer: Sendable {
  enum Kind: Sendable {
    case layer(any Layer)
    /// A layer that takes what follows it into its own pass, and the activation it brings itself.
    case epilogue(any EpilogueLayer, UnaryOp?)
    case add, multiply
    case concatenate(axis: Int)
  }
  let kind: Kind
  let outputShape: [Int]
}

/// What a description can name.
enum LayerCatalogue {
  static let types =
    ([
      "Add", "Concatenate", "Dropout", "Dropout2d", "ELU", "Flatten", "GELU", "Identity",
      "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "Multiply", "ReLU", "SiLU", "Sigmoid",
      "Softmax", "Softplus", "Tanh",
    ] + imageTypes + sequenceTypes).sorted()

  /// Makes the layer, checks that it fits its inputs.
  static func build(
    _ description: LayerDescription, inputs: [[Int]], names: [String: Int],
    parameters: ParameterSource
  ) throws -> BuiltLayer {
    var reader = AttributeReader(description, names: names)
    let built: BuiltLayer
    switch description.type {
    case "Add", "Multiply": built = try merge(description, inputs, reader)
    case "Concatenate": built = try concatenate(inputs, &reader)
    default:
      guard inputs.count == 1 else {
        throw reader.error("takes one input, not \(inputs.count)")
      }
      do {
        built =
          try reader.bool("timeDistributed", default: false)
          ? distributed(description.type, inputs[0], &reader, parameters)
          : single(description.type, inputs[0], &reader, parameters)
      } catch let error as ApusError where description.type.hasPrefix(error.operation) {
        // A layer names its type; here the place in the model says more.
        throw reader.error(error.message)
      }
    }
    try reader.finish()
    return built
  }

  /// A layer on every step of a sequence by itself, with the same parameters.
  private static func distributed(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer {
    guard shape.count > 1 else {
      throw reader.error("is timeDistributed, so it takes steps [T, …], not \(shape)")
    }
    let step = try single(type, Array(shape.dropFirst()), &reader, parameters)
    return BuiltLayer(
      kind: .layer(TimeDistributed(step: step)), outputShape: [shape[0]] + step.outputShape)
  }

  private static func single(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer {
    switch type {
    case "Linear": return try linear(shape, &reader, parameters)
    case "Flatten": return try flatten(shape, &reader)
    case "LayerNorm":
      let extents = try reader.list("normalizedShape", default: shape.suffix(1))
      guard Array(shape.suffix(extents.count)) == extents else {
        throw reader.error("normalizedShape \(extents) does not end the input shape \(shape)")
      }
      let layer = try parameters.layerNorm(
        reader.layer.name, extents, epsilon: try reader.float("epsilon", default: 1e-5),
        elementwiseAffine: try reader.bool("elementwiseAffine", default: true),
        bias: try reader.bool("bias", default: true))
      return BuiltLayer(kind: .layer(layer), outputShape: shape)
    case "Dropout":
      return BuiltLayer(
        kind: .layer(try Dropout(try reader.float("probability", default: 0.5))),
        outputShape: shape)
    case "Dropout2d":
      guard shape.count == 3 else {
        throw reader.error("takes examples [C, H, W], not \(shape)")
      }
      return BuiltLayer(
        kind: .layer(try Dropout2d(try reader.float("probability", default: 0.5))),
        outputShape: shape)
    case "Softmax", "LogSoftmax":
      let axis = try reader.integer("axis", default: -1)
      guard axis == -1 || (1...max(shape.count, 1)).contains(axis) else {
        throw reader.error("axis \(axis) is not one of 1...\(shape.count) (0 is the batch) or -1")
      }
      let layer: any Layer = type == "Softmax" ? Softmax(axis: axis) : LogSoftmax(axis: axis)
      return BuiltLayer(kind: .layer(layer), outputShape: shape)
    case "Identity": return BuiltLayer(kind: .layer(Identity()), outputShape: shape)
    default:
      if let layer = try image(type, shape, &reader, parameters) { return layer }
      if let layer = try sequenceLayer(type, shape, &reader, parameters) { return layer }
      guard let layer = try activation(type, &reader) else {
        throw reader.error("is an unknown type; known are \(types.joined(separator: ", "))")
      }
      return BuiltLayer(kind: .layer(layer), outputShape: shape)
    }
  }

  private static func linear(
    _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer {
    guard let width = shape.last else { throw reader.error("takes at least one axis") }
    let inFeatures = try reader.integer("inFeatures", default: width)
    let outFeatures = try reader.integer("outFeatures")
    guard inFeatures == width else {
      throw reader.error("inFeatures is \(inFeatures), its input has shape \(shape)")
    }
    guard outFeatures > 0, outFeatures <= 1 << 24, inFeatures <= 1 << 24,
      inFeatures * outFeatures <= 1 << 31
    else { throw reader.error("outFeatures is \(outFeatures); it must be positive and sensible") }
    let function = try activation(named: try reader.text("activation"), reader)
    let layer = try parameters.linear(
      reader.layer.name, inFeatures, outFeatures, bias: try reader.bool("bias", default: true),
      initializer: try initializer(&reader))
    return BuiltLayer(
      kind: .epilogue(layer, function), outputShape: shape.dropLast() + [outFeatures])
  }

  /// The function of an `activation` attribute, with its defaults.
  static func activation(named name: String?, _ reader: AttributeReader) throws -> UnaryOp? {
    guard let name else { return nil }
    var bare = AttributeReader(
      LayerDescription(name: reader.layer.name, type: name), names: [:])
    guard let layer = try activation(name, &bare) else {
      throw reader.error("'\(name)' is no activation")
    }
    return layer.function
  }

  static func initializer(_ reader: inout AttributeReader) throws -> Initializer? {
    switch try reader.text("initializer") {
    case nil: nil
    case "xavierUniform": .xavierUniform()
    case "xavierNormal": .xavierNormal()
    case "kaimingUniform": .kaimingUniform(nonlinearity: .relu)
    case "kaimingNormal": .kaimingNormal(nonlinearity: .relu)
    case "orthogonal": .orthogonal()
    case "zeros": .zeros
    case .some(let name):
      throw reader.error(
        "initializer '\(name)' is unknown; known are kaimingNormal, kaimingUniform, orthogonal, "
          + "xavierNormal, xavierUniform, zeros")
    }
  }

  private static func flatten(
    _ shape: [Int], _ reader: inout AttributeReader
  ) throws -> BuiltLayer {
    let start = try reader.integer("startAxis", default: 1)
    let end = try reader.integer("endAxis", default: -1)
    let last = end < 0 ? end + shape.count + 1 : end
    if shape.isEmpty { return BuiltLayer(kind: .layer(Identity()), outputShape: shape) }
    guard start >= 1, start <= last, last <= shape.count else {
      throw reader.error(
        "axes \(start)...\(end) do not exist in \(["batch"] + shape.map(String.init))")
    }
    let merged = shape[(start - 1)...(last - 1)].reduce(1, *)
    return BuiltLayer(
      kind: .layer(Flatten(startAxis: start, endAxis: end)),
      outputShape: Array(shape[..<(start - 1)]) + [merged] + Array(shape[last...]))
  }

  private static func activation(
    _ type: String, _ reader: inout AttributeReader
  ) throws -> (any ActivationLayer)? {
    switch type {
    case "ReLU": return ReLU()
    case "Sigmoid": return Sigmoid()
    case "Tanh": return Tanh()
    case "SiLU": return SiLU()
    case "GELU":
      return GELU(approximate: try reader.bool("approximate", default: false))
    case "LeakyReLU":
      return LeakyReLU(negativeSlope: try reader.float("negativeSlope", default: 0.01))
    case "ELU": return ELU(alpha: try reader.float("alpha", default: 1))
    case "Softplus":
      return Softplus(
        beta: try reader.float("beta", default: 1),
        threshold: try reader.float("threshold", default: 20))
    default: return nil
    }
  }

  private static func merge(
    _ description: LayerDescription, _ inputs: [[Int]], _ reader: AttributeReader
  ) throws -> BuiltLayer {
    guard inputs.count >= 2, inputs.allSatisfy({ $0 == inputs[0] }) else {
      throw reader.error("takes two or more inputs of one shape, not \(inputs)")
    }
    return BuiltLayer(
      kind: description.type == "Add" ? .add : .multiply, outputShape: inputs[0])
  }

  private static func concatenate(
    _ inputs: [[Int]], _ reader: inout AttributeReader
  ) throws -> BuiltLayer {
    guard let first = inputs.first else { throw reader.error("takes at least one input") }
    let axis = try reader.integer("axis", default: 1)
    guard axis >= 1, axis <= first.count else {
      throw reader.error("axis \(axis) is not one of 1...\(first.count) (0 is the batch)")
    }
    var shape = first
    for other in inputs.dropFirst() {
      var expected = other
      guard other.count == first.count else {
        throw reader.error("inputs \(inputs) have different numbers of axes")
      }
      expected[axis - 1] = first[axis - 1]
      guard expected == first else {
        throw reader.error("inputs \(inputs) differ in more than axis \(axis)")
      }
      shape[axis - 1] += other[axis - 1]
    }
    return BuiltLayer(kind: .concatenate(axis: axis), outputShape: shape)
  }
}

import ApusDevice
import ApusTensor

/// A model built from a ``ModelDescription``: any directed acyclic graph of layers, with any number
/// of inputs and outputs.
public struct GraphModel: SequenceLayer, RecurrentModel {
  /// One layer of the built graph.
  public struct Node: Sendable {
    public let name: String
    public let type: String
    /// Without the batch axis.
    public let outputShape: [Int]
    public let parameterCount: Int
    let built: BuiltLayer
    let inputs: [Int]
  }

  public let description: ModelDescription
  /// The layers in the order in which they run.
  public let nodes: [Node]
  /// Names and shapes of the inputs.
  public let inputs: [(name: String, shape: [Int])]
  private let outputs: [Int]
  private let plan: ExecutionPlan

  /// Builds and initialises the layers.
  /// - Throws: ``ApusError`` naming the layer that does not fit.
  public init(_ description: ModelDescription, key: RandomKey, on device: Device) throws {
    try self.init(description, parameters: .fresh(key, device))
  }

  /// Builds the layers around given values, on the device where these are.
  /// - Throws: ``ApusError`` naming missing, unexpected and ill-shaped entries.
  public init(_ description: ModelDescription, state: [String: Tensor]) throws {
    try self.init(description, parameters: .given(state))
    // Also complains about what no layer asked for.
    try load(state)
  }

  private init(_ description: ModelDescription, parameters: ParameterSource) throws {
    inputs = try description.inputs()
    self.description = description
    var shapes = inputs.map(\.shape)
    var hasSteps = inputs.map { _ in description.variableLength == true }
    var places: [String: Int] = [:]
    for (index, input) in inputs.enumerated() { places[input.name] = index }
    var nodes: [Node] = []
    guard !description.layers.isEmpty else {
      throw ApusError(.data, operation: description.name ?? "model", "there are no layers")
    }
    let names = [
      "classCount": description.classCount, "vocabularySize": description.vocabularySize,
    ]
    .compactMapValues { $0 }
    for (index, layer) in description.layers.enumerated() {
      guard !layer.name.isEmpty, places[layer.name] == nil else {
        throw ApusError(
          .data, operation: "layer '\(layer.name)'",
          "the name is empty or taken; every layer and input needs a name of its own")
      }
      let sources =
        try layer.inputs.map {
          try $0.map { name in
            guard let place = places[name] else {
              throw ApusError(
                .data, operation: "layer '\(layer.name)'",
                "its input '\(name)' is neither an input nor an earlier layer; "
                  + "known here: \(places.keys.sorted().joined(separator: ", "))")
            }
            return place
          }
        } ?? [shapes.count - 1]
      let built = try LayerCatalogue.build(
        layer, inputs: sources.map { shapes[$0] }, names: names,
        parameters: parameters.forLayer(index))
      guard ModelDescription.isSensible(built.outputShape) else {
        throw ApusError(
          .shape, operation: "layer '\(layer.name)'",
          "gives \(built.outputShape) for one example, which is too large")
      }
      hasSteps.append(
        try built.keepsSteps(
          sources.map { hasSteps[$0] }, sources.map { shapes[$0] }, of: layer))
      places[layer.name] = shapes.count
      shapes.append(built.outputShape)
      nodes.append(
        Node(
          name: layer.name, type: layer.type, outputShape: built.outputShape,
          parameterCount: built.parameters.reduce(0) { $0 + $1.parameter.learnableCount },
          built: built,
          inputs: sources))
    }
    self.nodes = nodes
    outputs = try (description.outputs ?? [description.layers[description.layers.count - 1].name])
      .map { name in
        guard let place = places[name] else {
          throw ApusError(
            .data, operation: description.name ?? "model", "output '\(name)' is no layer")
        }
        return place
      }
    plan = ExecutionPlan(nodes, inputCount: inputs.count, outputs: outputs)
  }

  public var outputShapes: [[Int]] {
    outputs.map { $0 < inputs.count ? inputs[$0].shape : nodes[$0 - inputs.count].outputShape }
  }

  public func namedParameters() -> [NamedParameter] {
    nodes.flatMap { node in
      node.built.parameters.map {
        NamedParameter(name: "\(node.name).\($0.name)", parameter: $0.parameter)
      }
    }
  }

  /// Runs the graph; layers that can run in one operation do.
  /// - Parameter x: One tensor per input, in the order of ``inputs``, with a batch axis first.
  public func callAsFunction(_ x: [Tensor], _ context: Context) throws -> [Tensor] {
    var pass = SequencePass()
    return try run(x, &pass, context)
  }

  func run(
    _ x: [Tensor], _ pass: inout SequencePass, _ context: Context
  ) throws -> [Tensor] {
    try requireInputs(x)
    var values: [Tensor?] = x + [Tensor?](repeating: nil, count: nodes.count)
    for (index, step) in plan.steps.enumerated() {
      let node = nodes[step.node]
      values[step.result] = try node.run(
        node.inputs.compactMap { values[$0] }, addend: step.addend.flatMap { values[$0] },
        activation: step.activation, &pass, context)
      // What no later step reads is let go.
      for source in node.inputs + (step.addend.map { [$0] } ?? [])
      where plan.lastUse[source] == index { values[source] = nil }
    }
    return outputs.compactMap { values[$0] }
  }

  /// Runs the graph one layer at a time and shows every result.
  /// - Parameter observe: Gets each layer with its result, and gives what later layers read instead.
  public func observed(
    _ x: [Tensor], _ context: Context, _ observe: (Node, Tensor) throws -> Tensor
  ) throws -> [Tensor] {
    try requireInputs(x)
    var values = x
    for node in nodes {
      let result = try node.built.run(
        node.inputs.map { values[$0] }, addend: nil, activation: nil, context)
      values.append(try observe(node, result))
    }
    return outputs.map { values[$0] }
  }

  private func requireInputs(_ x: [Tensor]) throws {
    guard x.count == inputs.count else {
      throw ApusError(
        .value, operation: description.name ?? "model",
        "\(x.count) tensors for \(inputs.count) inputs")
    }
    // The number of steps is that of the longest row.
    let free = isVariableLength ? 2 : 1
    for (tensor, input) in zip(x, inputs)
    where tensor.rank != input.shape.count + 1 || (isVariableLength && tensor.shape[1] == 0)
      || tensor.shape.dropFirst(free) != input.shape.dropFirst(free - 1)
    {
      throw ApusError(
        .shape, operation: description.name ?? "model",
        "input '\(input.name)' has shape \(tensor.shape); expected [batch] + \(input.shape)"
          + (isVariableLength ? ", with any positive number of steps" : ""))
    }
  }
}

extension BuiltLayer {
  var parameters: [NamedParameter] {
    switch kind {
    case .layer(let layer): layer.namedParameters()
    case .epilogue(let layer, _): layer.namedParameters()
    case .add, .multiply, .concatenate: []
    }
  }

  /// - Parameters:
  ///   - addend: With `activation` what follows the layer; nil for all but `epilogue`.
  func run(
    _ inputs: [Tensor], addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    switch kind {
    case .layer(let layer): return try layer(inputs[0], context)
    case .epilogue(let layer, let own):
      return try layer(inputs[0], addend: addend, activation: own ?? activation, context)
    case .add: return try inputs.dropFirst().reduce(inputs[0]) { try $0 + $1 }
    case .multiply: return try inputs.dropFirst().reduce(inputs[0]) { try $0 * $1 }
    case .concatenate(let axis): return try .concatenated(inputs, axis: axis)
    }
  }
}

import ApusDevice
import ApusTensor

/// A recurrent layer of a description: all outputs, or the state after the last step.
struct RecurrentLayer: SequenceLayer {
  let stack: RecurrentStack
  /// Whether only the last layer's final states are given, both directions side by side.
  let givesLast: Bool

  func namedParameters() -> [NamedParameter] { stack.namedParameters() }

  func callAsFunction(_ x: Tensor, lengths: [Int]?, _ context: Context) throws -> Tensor {
    try self(x, state: nil, lengths: lengths, context).output
  }

  func callAsFunction(
    _ x: Tensor, state: RecurrentState?, lengths: [Int]?, _ context: Context
  ) throws -> (output: Tensor, state: RecurrentState) {
    let (output, state) = try stack(x, state: state, lengths: lengths, context)
    guard givesLast else { return (output, state) }
    let directions = stack.options.directions
    let last = try state.hidden.slice(axis: 0, start: -directions)
    return (
      try last.transposed(0, 1).reshaped([x.shape[0], directions * stack.hiddenSize]), state
    )
  }
}

extension LayerCatalogue {
  static let sequenceTypes = ["AttentionPooling", "Embedding", "GRU", "LSTM", "Permute", "RNN"]

  /// Types of layers on sequences, `[T, F]` for one example; nil for another type.
  ///
  /// | type | attributes | gives |
  /// |---|---|---|
  /// | `RNN`, `LSTM`, `GRU` | `hiddenSize`, `numLayers`, `bias`, `dropout`, `bidirectional`, `output`: `sequence` or `last`; `nonlinearity`: `tanh` or `relu`; `recurrentInitializer`: `orthogonal`; `forgetBias` | `[T, D · H]` or `[D · H]` |
  /// | `Embedding` | `count`, `size`, `paddingIndex` | `[T, size]` of `[T]` |
  /// | `AttentionPooling` | `attentionSize` | `[F]` |
  /// | `Permute` | `axes`: the old axis (from 1; 0 is the batch) of each new one | any order |
  static func sequenceLayer(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer? {
    switch type {
    case "RNN", "LSTM", "GRU": return try recurrent(type, shape, &reader, parameters)
    case "Embedding":
      let (count, size) = (try reader.integer("count"), try reader.integer("size"))
      let padding = try reader.integer("paddingIndex", default: -1)
      guard count > 0, size > 0, count <= 1 << 24, size <= 1 << 24, count * size <= 1 << 31 else {
        throw reader.error("count \(count) and size \(size) must be positive and sensible")
      }
      let layer = try parameters.embedding(
        reader.layer.name, count, size, paddingIndex: padding < 0 ? nil : padding)
      return BuiltLayer(kind: .layer(layer), outputShape: shape + [size])
    case "AttentionPooling":
      guard shape.count == 2, shape[0] > 0, shape[1] > 0 else {
        throw reader.error("takes steps of features [T, F], not \(shape)")
      }
      let width = try reader.integer("attentionSize", default: shape[1])
      guard width > 0, width <= 1 << 24, shape[1] <= 1 << 24, width * shape[1] <= 1 << 31 else {
        throw reader.error("attentionSize is \(width); it must be positive and sensible")
      }
      let layer = try parameters.attentionPooling(reader.layer.name, shape[1], width)
      return BuiltLayer(kind: .layer(layer), outputShape: [shape[1]])
    case "Permute":
      let axes = try reader.list("axes", default: [])
      guard axes.sorted() == Array(1..<shape.count + 1) else {
        throw reader.error(
          "axes \(axes) must name each of 1...\(shape.count) of \(shape) once (0 is the batch)")
      }
      return BuiltLayer(
        kind: .layer(Permute(axes: axes)), outputShape: axes.map { shape[$0 - 1] })
    default: return nil
    }
  }

  private static func recurrent(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer {
    guard shape.count == 2, shape[1] > 0 else {
      throw reader.error("takes steps of features [T, F], not \(shape)")
    }
    var options = RecurrentOptions(batchFirst: true)
    let hiddenSize = try reader.integer("hiddenSize")
    options.numLayers = try reader.integer("numLayers", default: 1)
    options.bias = try reader.bool("bias", default: true)
    options.dropout = try reader.float("dropout", default: 0)
    options.bidirectional = try reader.bool("bidirectional", default: false)
    guard hiddenSize > 0, hiddenSize <= 1 << 14, options.numLayers > 0, options.numLayers <= 256
    else {
      throw reader.error(
        "hiddenSize \(hiddenSize) and numLayers \(options.numLayers) must be positive and sensible")
    }
    var cell: Recurrence.Cell = type == "LSTM" ? .lstm : .gru
    if type == "RNN" {
      let name = try reader.text("nonlinearity") ?? "tanh"
      guard let function = RNN.Nonlinearity(rawValue: name) else {
        throw reader.error("nonlinearity '\(name)' is unknown; known are relu, tanh")
      }
      cell = function.cell
    }
    var initialization = RecurrentInitialization()
    if let name = try reader.text("recurrentInitializer") {
      guard name == "orthogonal" else {
        throw reader.error("recurrentInitializer '\(name)' is unknown; known is orthogonal")
      }
      initialization.recurrent = .orthogonal()
    }
    if type == "LSTM" {
      initialization.forgetBias = try reader.number("forgetBias").map { Float($0) }
    }
    let output = try reader.text("output") ?? "sequence"
    guard ["sequence", "last"].contains(output) else {
      throw reader.error("output '\(output)' is unknown; known are last, sequence")
    }
    let stack = try parameters.recurrent(
      reader.layer.name, cell, shape[1], hiddenSize, options, initialization)
    let width = options.directions * hiddenSize
    return BuiltLayer(
      kind: .layer(RecurrentLayer(stack: stack, givesLast: output == "last")),
      outputShape: output == "last" ? [width] : [shape[0], width])
  }
}

extension ParameterSource {
  func recurrent(
    _ name: String, _ cell: Recurrence.Cell, _ inputSize: Int, _ hiddenSize: Int,
    _ options: RecurrentOptions, _ initialization: RecurrentInitialization
  ) throws -> RecurrentStack {
    switch self {
    case .fresh(let key, let device):
      return try RecurrentStack(
        cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options,
        initialization: initialization, key: key, on: device)
    case .given:
      return try RecurrentStack(
        cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options
      ) { layer, direction, width in
        let suffix = RecurrentStack.suffix(layer: layer, direction: direction)
        let gates = cell.gateCount * hiddenSize
        func part(_ part: String, _ shape: [Int]) throws -> Parameter {
          try given("\(name).\(part)\(suffix)", shape)
        }
        return RecurrentWeights(
          input: try part("weight_ih", [gates, width]),
          hidden: try part("weight_hh", [gates, hiddenSize]),
          inputBias: options.bias ? try part("bias_ih", [gates]) : nil,
          hiddenBias: options.bias ? try part("bias_hh", [gates]) : nil)
      }
    }
  }

  func embedding(
    _ name: String, _ count: Int, _ size: Int, paddingIndex: Int?
  ) throws -> Embedding {
    switch self {
    case .fresh(let key, let device):
      return try Embedding(count, size, paddingIndex: paddingIndex, key: key, on: device)
    case .given:
      return try Embedding(
        weight: try given("\(name).weight", [count, size]), paddingIndex: paddingIndex)
    }
  }

  func attentionPooling(_ name: String, _ features: Int, _ width: Int) throws -> AttentionPooling {
    switch self {
    case .fresh(let key, let device):
      return try AttentionPooling(
        features, attentionSize: width, batchFirst: true, key: key, on: device)
    case .given:
      let projection = Linear(
        weight: try given("\(name).projection.weight", [width, features]),
        bias: try given("\(name).projection.bias", [width]))
      return AttentionPooling(
        projection: projection, query: try given("\(name).query", [width]),
        batchFirst: true)
    }
  }
}

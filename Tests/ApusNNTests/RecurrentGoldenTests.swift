import Apus
import Foundation
import TestSupport
import Testing

/// Recurrent layers and cells against values made by PyTorch: outputs, final states, all gradients.
struct RecurrentGoldenTests {
  struct Arrays: Decodable, Sendable {
    let outputs, seeds, inputs, gradients: [GoldenArray]
    let state, stateGradients: [String: GoldenArray]

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      outputs = try values.decode([GoldenArray].self, forKey: .outputs)
      seeds = try values.decode([GoldenArray].self, forKey: .seeds)
      inputs = try values.decode([GoldenArray].self, forKey: .inputs)
      gradients = try values.decode([GoldenArray].self, forKey: .gradients)
      state = try values.decode([String: GoldenArray].self, forKey: .state)
      stateGradients = try values.decode([String: GoldenArray].self, forKey: .stateGradients)
    }

    enum Key: String, CodingKey { case outputs, seeds, inputs, gradients, state, stateGradients }
  }

  struct Sequence: Decodable, Sendable, CustomTestStringConvertible {
    let name, kind: String
    let inputSize, hiddenSize, layers: Int
    let lengths: [Int]?
    let bias, batchFirst, bidirectional: Bool
    let arrays: Arrays
    var testDescription: String { name }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      name = try values.decode(String.self, forKey: .name)
      kind = try values.decode(String.self, forKey: .kind)
      inputSize = try values.decode(Int.self, forKey: .inputSize)
      hiddenSize = try values.decode(Int.self, forKey: .hiddenSize)
      layers = try values.decode(Int.self, forKey: .layers)
      lengths = try values.decodeIfPresent([Int].self, forKey: .lengths)
      bias = try values.decode(Bool.self, forKey: .bias)
      batchFirst = try values.decode(Bool.self, forKey: .batchFirst)
      bidirectional = try values.decode(Bool.self, forKey: .bidirectional)
      arrays = try Arrays(from: decoder)
    }

    enum Key: String, CodingKey {
      case name, kind, inputSize, hiddenSize, layers, lengths, bias, batchFirst, bidirectional
    }

    func stack(on device: Device) throws -> RecurrentStack {
      let options = RecurrentOptions(
        numLayers: layers, bias: bias, batchFirst: batchFirst, bidirectional: bidirectional)
      let key = RandomKey(1)
      switch kind {
      case "LSTM": return try LSTM(inputSize, hiddenSize, options, key: key, on: device).stack
      case "GRU": return try GRU(inputSize, hiddenSize, options, key: key, on: device).stack
      default:
        return try RNN(
          inputSize, hiddenSize, nonlinearity: kind == "RNN" ? .tanh : .relu, options, key: key,
          on: device
        ).stack
      }
    }
  }

  struct Cell: Decodable, Sendable, CustomTestStringConvertible {
    let kind: String
    let arrays: Arrays
    var testDescription: String { kind }

    init(from decoder: any Decoder) throws {
      kind = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .kind)
      arrays = try Arrays(from: decoder)
    }
    enum Key: String, CodingKey { case kind }
  }

  struct Attention: Decodable, Sendable {
    let lengths: [Int]
    let arrays: Arrays

    init(from decoder: any Decoder) throws {
      lengths = try decoder.container(keyedBy: Key.self).decode([Int].self, forKey: .lengths)
      arrays = try Arrays(from: decoder)
    }
    enum Key: String, CodingKey { case lengths }
  }

  struct Table: Decodable, Sendable {
    let indices: GoldenArray
    let arrays: Arrays

    init(from decoder: any Decoder) throws {
      indices = try decoder.container(keyedBy: Key.self).decode(GoldenArray.self, forKey: .indices)
      arrays = try Arrays(from: decoder)
    }
    enum Key: String, CodingKey { case indices }
  }

  struct File: Decodable {
    let sequences: [Sequence]
    let cells: [Cell]
    let embedding: Table
    let attention: Attention
  }

  static let file = Result { try golden("recurrent", in: .module, as: File.self) }

  /// Runs `body` on watched inputs and compares outputs and gradients.
  private func check(
    _ expected: Arrays, _ module: any Module, on device: Device,
    _ body: ([Tensor], Context) throws -> [Tensor]
  ) throws {
    try module.load(try expected.state.mapValues { try $0.tensor(on: device) })
    let tape = Tape()
    let context = Context(isTraining: true, key: RandomKey(2), tape: tape)
    let inputs = try expected.inputs.map { try tape.watch(try $0.tensor(on: device)) }
    let parameters = module.namedParameters()
    let watched = try parameters.map { try context[$0.parameter] }
    let outputs = try body(inputs, context)
    #expect(outputs.count == expected.outputs.count)
    for (output, wanted) in zip(outputs, expected.outputs) {
      #expect(try distance(output, wanted) < 3e-6)
    }
    // One number: the sum of outputs weighted by their seeds.
    let parts = try zip(outputs, expected.seeds).map { try ($0 * $1.tensor(on: device)).sum() }
    let total = try parts.dropFirst().reduce(parts[0]) { try $0 + $1 }
    let gradients = try tape.gradients(of: total, for: inputs + watched)
    for (gradient, wanted) in zip(gradients, expected.gradients) {
      #expect(try distance(gradient, wanted) < 1e-5)
    }
    #expect(parameters.count == expected.stateGradients.count)
    for (parameter, gradient) in zip(parameters, gradients.dropFirst(inputs.count)) {
      let wanted = try #require(expected.stateGradients[parameter.name])
      #expect(try distance(gradient, wanted) < 1e-5, "\(parameter.name)")
    }
    // Nothing is saved without a tape; the answer is the same.
    let plain = try body(inputs.map(\.detached), .evaluation)
    for (output, wanted) in zip(plain, expected.outputs) {
      #expect(try distance(output, wanted) < 3e-6)
    }
  }

  @Test(arguments: try file.get().sequences, TestDevices.all)
  func sequences(_ expected: Sequence, on device: Device) throws {
    let stack = try expected.stack(on: device)
    try check(expected.arrays, stack, on: device) { x, context in
      let state =
        x.count == 1 ? nil : RecurrentState(hidden: x[1], cell: x.count > 2 ? x[2] : nil)
      let (y, end) = try stack(x[0], state: state, lengths: expected.lengths, context)
      return [y, end.hidden] + [end.cell].compactMap { $0 }
    }
  }

  @Test(arguments: try file.get().cells, TestDevices.all)
  func cells(_ expected: Cell, on device: Device) throws {
    let key = RandomKey(1)
    switch expected.kind {
    case "LSTM":
      let cell = try LSTMCell(4, 5, key: key, on: device)
      try check(expected.arrays, cell, on: device) { x, context in
        let end = try cell(x[0], state: RecurrentState(hidden: x[1], cell: x[2]), context)
        return [end.hidden, try #require(end.cell)]
      }
    case "GRU":
      let cell = try GRUCell(4, 5, key: key, on: device)
      try check(expected.arrays, cell, on: device) { [try cell($0[0], hidden: $0[1], $1)] }
    default:
      let cell = try RNNCell(
        4, 5, nonlinearity: expected.kind == "RNN" ? .tanh : .relu, key: key, on: device)
      try check(expected.arrays, cell, on: device) { [try cell($0[0], hidden: $0[1], $1)] }
    }
  }

  @Test(arguments: TestDevices.all) func embedding(on device: Device) throws {
    let expected = try Self.file.get().embedding
    let layer = try Embedding(7, 3, paddingIndex: 2, key: RandomKey(1), on: device)
    #expect(try layer.weight.value[2].scalars() == [0, 0, 0])
    for indices in [
      try expected.indices.indices(on: device), try expected.indices.tensor(on: device),
    ] {
      try check(expected.arrays, layer, on: device) { _, context in [try layer(indices, context)] }
    }
  }

  @Test(arguments: TestDevices.all) func attention(on device: Device) throws {
    let expected = try Self.file.get().attention
    let layer = try AttentionPooling(
      4, attentionSize: 3, batchFirst: true, key: RandomKey(1), on: device)
    try check(expected.arrays, layer, on: device) { x, context in
      [try layer(x[0], lengths: expected.lengths, context)]
    }
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// Recurrent models as descriptions, their first values, and what they refuse.
struct SequenceLayerTests {
  static let json = """
    {"inputShape": [6], "classCount": 3, "layers": [
      {"name": "embed", "type": "Embedding", "count": 11, "size": 4, "paddingIndex": 0},
      {"name": "lstm", "type": "LSTM", "hiddenSize": 5, "numLayers": 2, "bidirectional": true,
       "dropout": 0.5, "recurrentInitializer": "orthogonal", "forgetBias": 1},
      {"name": "gru", "type": "GRU", "hiddenSize": 3},
      {"name": "pool", "type": "AttentionPooling", "attentionSize": 2},
      {"name": "last", "type": "RNN", "inputs": ["lstm"], "hiddenSize": 2, "output": "last",
       "nonlinearity": "relu", "bias": false, "bidirectional": true},
      {"name": "both", "type": "Concatenate", "inputs": ["pool", "last"]},
      {"name": "head", "type": "Linear", "outFeatures": "classCount"}]}
    """

  @Test(arguments: TestDevices.all) func describedModels(on device: Device) throws {
    let description = try ModelDescription(json: Data(Self.json.utf8), source: "test")
    let model = try GraphModel(description, key: RandomKey(3), on: device)
    #expect(
      model.nodes.map(\.outputShape) == [[6, 4], [6, 10], [6, 3], [3], [4], [7], [3]])
    let names = model.namedParameters().map(\.name)
    for name in [
      "embed.weight", "lstm.weight_ih_l1_reverse", "lstm.bias_hh_l0", "gru.weight_hh_l0",
      "pool.query", "pool.projection.bias", "last.weight_hh_l0_reverse",
    ] {
      #expect(names.contains(name))
    }
    #expect(!names.contains("last.bias_ih_l0"))
    let tokens = try Tensor(
      rows: [[Float(1), 4, 10, 2, 0, 0], [3, 3, 5, 6, 7, 8]], on: device)
    let tape = Tape()
    let context = Context(isTraining: true, key: RandomKey(4), tape: tape)
    let y = try model(tokens, context)
    #expect(y.shape == [2, 3])
    let loss = try crossEntropy(y, Tensor([Int32(0), 2], on: device))
    let gradients = try tape.gradients(
      of: loss, for: try model.parameters().map { try context[$0] })
    for (name, gradient) in zip(names, gradients) {
      #expect(try gradient.abs().sum().item() > 0, "\(name)")
    }
    // A description and its values give the model again.
    let copy = try GraphModel(description, state: model.state())
    #expect(
      try copy(tokens, .evaluation).scalars() == model(tokens, .evaluation).scalars())
  }

  @Test func firstValues() throws {
    let device = TestDevices.reference
    let plain = try LSTM(3, 16, key: RandomKey(1), on: device)
    for named in plain.namedParameters() {
      let values = try named.parameter.value.scalars()
      #expect(values.allSatisfy { abs($0) <= 0.25 } && values.contains { abs($0) > 0.2 })
    }
    let special = try LSTM(
      3, 4,
      initialization: RecurrentInitialization(recurrent: .orthogonal(), forgetBias: 1),
      key: RandomKey(1), on: device)
    let state = special.state()
    let weight = try #require(state["weight_hh_l0"])
    for gate in 0..<4 {
      let block = try weight.slice(axis: 0, start: 4 * gate, end: 4 * gate + 4)
      #expect(try distance(block.matmul(block.transposed()), .eye(4, on: device)) < 1e-6)
    }
    let sum = try #require(state["bias_ih_l0"]) + #require(state["bias_hh_l0"])
    #expect(try sum.slice(axis: 0, start: 4, end: 8).scalars() == [1, 1, 1, 1])
  }

  /// A long sequence in pieces, the state handed on, gives what it gives at once.
  @Test(arguments: TestDevices.all) func statesCarryOn(on device: Device) throws {
    let lstm = try LSTM(3, 5, RecurrentOptions(numLayers: 2), key: RandomKey(1), on: device)
    let x = try Tensor.normal([8, 2, 3], key: RandomKey(2), on: device)
    let (whole, end) = try lstm(x, state: nil, .evaluation)
    let first = try lstm(x.slice(axis: 0, end: 3), state: nil, .evaluation)
    let second = try lstm(x.slice(axis: 0, start: 3), state: first.state, .evaluation)
    #expect(
      try distance(.concatenated([first.output, second.output]), whole) < 1e-6)
    #expect(try distance(try #require(second.state.cell), try #require(end.cell)) < 1e-6)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let device = TestDevices.reference
    let gru = try GRU(3, 4, key: RandomKey(1), on: device)
    let x = try Tensor.zeros([5, 2, 3], on: device)
    func refuses(_ words: String, _ body: () throws -> Void) {
      let error = #expect(throws: ApusError.self) { try body() }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    refuses("[T, B, 3]") { _ = try gru(Tensor.zeros([5, 2, 4], on: device), .evaluation) }
    refuses("1...5") { _ = try gru(x, state: nil, lengths: [5, 6], .evaluation) }
    refuses("1...5") { _ = try gru(x, state: nil, lengths: [0, 5], .evaluation) }
    refuses("1 lengths for 2 rows") { _ = try gru(x, state: nil, lengths: [5], .evaluation) }
    refuses("[1, 2, 4]") {
      _ = try gru(x, state: RecurrentState(hidden: Tensor.zeros([2, 4], on: device)), .evaluation)
    }
    refuses("must be positive") { _ = try LSTM(0, 4, key: RandomKey(1), on: device) }
    refuses("0...1") {
      _ = try LSTM(3, 4, RecurrentOptions(dropout: 1.5), key: RandomKey(1), on: device)
    }
    refuses("2³¹ parameters") {
      _ = try LSTM(
        1 << 20, 1 << 16, RecurrentOptions(numLayers: 9), key: RandomKey(1), on: device)
    }
    refuses("2³¹ values") { _ = try Embedding(1 << 30, 1 << 20, key: RandomKey(1), on: device) }
    refuses("padding index") {
      _ = try Embedding(3, 4, paddingIndex: 3, key: RandomKey(1), on: device)
    }
    let table = try Embedding(3, 4, key: RandomKey(1), on: device)
    refuses("3") { _ = try table(Tensor([Int32(3)], on: device), .evaluation).scalars() }
    for (layer, words) in [
      (#"{"name": "a", "type": "LSTM", "hiddenSize": 0}"#, "positive"),
      (#"{"name": "a", "type": "LSTM", "hiddenSize": 4, "output": "first"}"#, "last, sequence"),
      (#"{"name": "a", "type": "RNN", "hiddenSize": 4, "nonlinearity": "elu"}"#, "relu, tanh"),
      (#"{"name": "a", "type": "GRU"}"#, "hiddenSize"),
      (#"{"name": "a", "type": "Embedding", "count": 3, "size": -1}"#, "positive"),
      (#"{"name": "a", "type": "GRU", "hiddenSize": 4, "forgetBias": 1}"#, "forgetBias"),
    ] {
      refuses(words) {
        let text = #"{"inputShape": [5, 3], "layers": [\#(layer)]}"#
        _ = try GraphModel(
          ModelDescription(json: Data(text.utf8), source: "test"), key: RandomKey(1), on: device)
      }
    }
  }
}

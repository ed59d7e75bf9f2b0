import Apus
import Foundation
import TestSupport
import Testing

/// Described models whose rows have different lengths, and those that go on from state to state.
struct VariableLengthTests {
  private static let json = """
    {"variableLength": true, "inputShape": [9], "vocabularySize": 11, "classCount": 3, "layers": [
      {"name": "embed", "type": "Embedding", "count": "vocabularySize", "size": 4, "paddingIndex": 0},
      {"name": "norm", "type": "LayerNorm"},
      {"name": "wide", "type": "Linear", "outFeatures": 6, "activation": "Tanh"},
      {"name": "lstm", "type": "LSTM", "hiddenSize": 5, "numLayers": 2, "bidirectional": true},
      {"name": "gru", "type": "GRU", "hiddenSize": 3},
      {"name": "pool", "type": "AttentionPooling"},
      {"name": "last", "type": "RNN", "inputs": ["lstm"], "hiddenSize": 2, "output": "last",
       "bidirectional": true},
      {"name": "both", "type": "Concatenate", "inputs": ["pool", "last"]},
      {"name": "head", "type": "Linear", "outFeatures": "classCount"}]}
    """

  private static func model(on device: Device, _ json: String = json) throws -> GraphModel {
    try GraphModel(
      ModelDescription(json: Data(json.utf8), source: "test"), key: RandomKey(3), on: device)
  }

  @Test(arguments: TestDevices.all) func paddingChangesNothing(on device: Device) throws {
    let model = try Self.model(on: device)
    let rows: [[Int32]] = [[3, 1, 4, 1, 5], [9], [2, 6]]
    func batch(_ rows: [[Int32]], to length: Int, with padding: Int32) throws -> [Float] {
      let values = rows.flatMap {
        $0 + [Int32](repeating: padding, count: length - $0.count)
      }
      return try model(
        Tensor(values, shape: [rows.count, length], on: device), lengths: rows.map(\.count),
        .evaluation
      ).scalars()
    }
    let alone = try rows.flatMap { try batch([$0], to: $0.count, with: 0) }
    #expect(alone.count == 9 && Set(alone).count > 6)
    for (length, padding) in [(5, 0), (5, 7), (8, 0), (40, 10)] as [(Int, Int32)] {
      let together = try batch(rows, to: length, with: padding)
      // Products over batches of other sizes may round otherwise.
      for (a, b) in zip(together, alone) { #expect(abs(a - b) < 1e-5) }
    }
    let all = try Tensor(rows[0], shape: [1, 5], on: device)
    #expect(
      try model(all, .evaluation).scalars() == model(all, lengths: [5], .evaluation).scalars())
  }

  @Test(arguments: TestDevices.all) func gradientsOfPaddingAreNone(on device: Device) throws {
    let model = try Self.model(on: device)
    func gradients(_ padding: Int32, _ length: Int) throws -> [[Float]] {
      let tape = Tape()
      let context = Context(isTraining: true, key: RandomKey(4), tape: tape)
      let row = [Int32](repeating: padding, count: length - 2)
      let tokens = try Tensor([3, 4] + row + [5, 6] + row, shape: [2, length], on: device)
      let y = try model(tokens, lengths: [2, 2], context)
      let loss = try crossEntropy(y, Tensor([Int32(0), 2], on: device))
      return try tape.gradients(of: loss, for: model.parameters().map { try context[$0] })
        .map { try $0.scalars() }
    }
    let bare = try gradients(0, 2)
    for other in [try gradients(0, 7), try gradients(9, 7)] {
      for (a, b) in zip(other.joined(), bare.joined()) { #expect(abs(a - b) < 1e-5) }
    }
  }

  @Test(arguments: TestDevices.all) func statesGoOn(on device: Device) throws {
    let json = """
      {"variableLength": true, "inputShape": [4], "vocabularySize": 7, "layers": [
        {"name": "embed", "type": "Embedding", "count": "vocabularySize", "size": 4},
        {"name": "lstm", "type": "LSTM", "hiddenSize": 5, "numLayers": 2},
        {"name": "gru", "type": "GRU", "hiddenSize": 3},
        {"name": "head", "type": "Linear", "outFeatures": "vocabularySize"}]}
      """
    let model = try Self.model(on: device, json)
    #expect(model.description.isLanguageModel && model.isCausal)
    let tokens: [Int32] = [1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1]
    let x = try Tensor(tokens, shape: [2, 6], on: device)
    let whole = try model(x, .evaluation).scalars()
    var states: [String: RecurrentState] = [:]
    var pieces: [[Float]] = []
    for (start, end) in [(0, 1), (1, 4), (4, 6)] {
      let y = try model(x.slice(axis: 1, start: start, end: end), states: &states, .evaluation)
      #expect(y.shape == [2, end - start, 7])
      pieces.append(try y.transposed(0, 1).contiguous().scalars())
    }
    #expect(Set(states.keys) == ["lstm", "gru"])
    #expect(states["lstm"]?.hidden.shape == [2, 2, 5] && states["gru"]?.cell == nil)
    let parts = pieces.joined().map { $0 }
    for step in 0..<6 {
      for row in 0..<2 {
        for token in 0..<7 {
          #expect(
            abs(whole[(row * 6 + step) * 7 + token] - parts[(step * 2 + row) * 7 + token]) < 1e-5)
        }
      }
    }
  }

  @Test(arguments: [
    #"{"name": "flat", "type": "Flatten"}"#,
    #"{"name": "conv", "type": "Conv1d", "outChannels": 2, "kernelSize": 1}"#,
    #"{"name": "cat", "type": "Concatenate", "inputs": ["embed", "embed"], "axis": 1}"#,
    #"{"name": "norm", "type": "LayerNorm", "normalizedShape": [9, 4]}"#,
    #"{"name": "pool", "type": "AttentionPooling"}, {"name": "add", "type": "Multiply", "inputs": ["pool", "embed"]}"#,
    #"{"name": "head", "type": "Linear", "outFeatures": "classCount"}"#,
  ])
  func fixedLayersAreRefused(layers: String) {
    let json = """
      {"variableLength": true, "inputShape": [9], "layers": [
        {"name": "embed", "type": "Embedding", "count": 5, "size": 4}, \(layers)]}
      """
    #expect(throws: ApusError.self) { try Self.model(on: TestDevices.reference, json) }
  }

  @Test func shapesAreChecked() throws {
    let device = TestDevices.reference
    let model = try Self.model(on: device)
    for shape in [[2, 0], [2], [2, 3, 1]] {
      #expect(throws: ApusError.self) {
        try model(Tensor.zeros(shape, on: device), .evaluation)
      }
    }
    let x = try Tensor.zeros([2, 3], on: device)
    for lengths in [[3], [0, 3], [3, 4]] {
      #expect(throws: ApusError.self) { try model(x, lengths: lengths, .evaluation) }
    }
    #expect(throws: ApusError.self) {
      try Self.model(
        on: device,
        #"{"variableLength": true, "inputShape": [], "layers": [{"name": "a", "type": "ReLU"}]}"#)
    }
  }

  @Test func presetsTakeTheirSizes() throws {
    let preset = try Preset.named("char-lstm").description(inputShape: [64], classCount: 0)
      .resolved(inputShape: [64], classCount: nil, vocabularySize: 67)
    #expect(preset.isLanguageModel && preset.takesTokens)
    let model = try GraphModel(preset, key: RandomKey(1), on: TestDevices.reference)
    #expect(model.outputShapes == [[64, 67]])
    // Embedding, both layers with their two biases, head.
    let lstm = 1024 * (64 + 256 + 2) + 1024 * (256 + 256 + 2)
    #expect(model.parameterCount == 67 * 64 + lstm + 256 * 67 + 67)
    let small = try preset.with(
      RecurrentSizes(embeddingSize: 8, hiddenSize: 16, numLayers: 1, dropout: 0))
    #expect(
      try GraphModel(small, key: RandomKey(1), on: TestDevices.reference).parameterCount
        == 67 * 8 + 64 * (8 + 16 + 2) + 16 * 67 + 67)
    #expect(throws: ApusError.self) {
      try Preset.named("mlp").description(inputShape: [4], classCount: 2)
        .with(RecurrentSizes(hiddenSize: 3))
    }
    let classifier = try Preset.named("text-gru").description(inputShape: [30], classCount: 4)
      .resolved(inputShape: [30], classCount: 4, vocabularySize: 50)
    #expect(!classifier.isLanguageModel && classifier.takesTokens)
    let gru = try GraphModel(classifier, key: RandomKey(1), on: TestDevices.reference)
    #expect(gru.outputShapes == [[4]] && !gru.isCausal)
  }
}

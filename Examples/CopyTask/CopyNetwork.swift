import Apus
import Foundation

/// Reads some symbols, waits, and is asked to write them down again.
///
/// Symbols come in through a table of their own, so the gradient of `symbols.weight` has gone through all
/// steps of waiting: where it vanishes, nothing can be learnt.
struct CopyNetwork: Layer {
  let symbols: Embedding
  /// What is seen at the steps that ask.
  let question: Embedding
  let memory: any Layer
  let head: Linear
  private let wait: Int

  enum Cell: String, CaseIterable { case rnn, lstm, gru }

  static let symbolCount = 8

  /// - Parameter wait: Steps between the last symbol and the first question.
  init(_ cell: Cell, width: Int, wait: Int, key: RandomKey, on device: Device) throws {
    let keys = key.split(4)
    symbols = try Embedding(Self.symbolCount, 16, key: keys[0], on: device)
    question = try Embedding(1, 16, key: keys[1], on: device)
    head = try Linear(width, Self.symbolCount, key: keys[3], on: device)
    self.wait = wait
    let options = RecurrentOptions(batchFirst: true)
    // Gates that remember, some for a few steps and some for all (Tallec and Ollivier 2018).
    let biases = (0..<width).map { unit in
      Float(log(1 + Double(wait) * (Double(unit) + 0.5) / Double(width)))
    }
    switch cell {
    case .rnn:
      memory = try RNN(16, width, options, key: keys[2], on: device)
    case .lstm:
      let lstm = try LSTM(16, width, options, key: keys[2], on: device)
      // Input gates that let little in, forget gates that let little go.
      try Self.setBias(of: lstm, [biases.map { -$0 }, biases])
      memory = lstm
    case .gru:
      let gru = try GRU(16, width, options, key: keys[2], on: device)
      // The update gate keeps the state.
      try Self.setBias(of: gru, [nil, biases])
      memory = gru
    }
  }

  /// - Parameter values: Unit by unit for each gate; nil leaves what is there.
  private static func setBias(of layer: any Layer, _ values: [[Float]?]) throws {
    for named in layer.namedParameters() where named.name.hasPrefix("bias_ih") {
      var bias = try named.parameter.value.scalars()
      for (gate, units) in values.enumerated() {
        guard let units else { continue }
        bias.replaceSubrange(gate * units.count..<(gate + 1) * units.count, with: units)
      }
      try named.parameter.assign(Tensor(bias, on: named.parameter.device))
    }
  }

  /// - Parameter x: `int32 [B, S]`, the symbols.
  /// - Returns: Logits `[B, S, symbols]`, one answer for each question.
  func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    let (rows, count) = (x.shape[0], x.shape[1])
    let asked = try question(
      Tensor.zeros([rows, count], dtype: .int32, on: x.device), context)
    let silence = try Tensor.zeros([rows, wait, 16], on: x.device)
    let sequence = try Tensor.concatenated([symbols(x, context), silence, asked], axis: 1)
    let states = try memory(sequence, context)
    return try head(states.slice(axis: 1, start: wait + count), context)
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// A symbol is to be told again after 200 steps of nothing (the task of Hochreiter and Schmidhuber 1997):
/// what gates are for. `Examples/CopyTask` does the same with more symbols.
@Suite(.timeLimit(.minutes(15)))
struct CopyTaskTests {
  enum Cell: CaseIterable { case rnn, lstm, gru }

  static let (symbolCount, wait, width) = (4, 200, 24)

  /// Symbols come in through a table of their own, so its gradient has gone through all the steps.
  struct Network: Layer {
    let symbols: Embedding
    let memory: any Layer
    let head: Linear

    init(_ cell: Cell, on device: Device) throws {
      let keys = RandomKey(3).split(3)
      let width = CopyTaskTests.width
      symbols = try Embedding(CopyTaskTests.symbolCount, 8, key: keys[0], on: device)
      head = try Linear(width, CopyTaskTests.symbolCount, key: keys[2], on: device)
      let options = RecurrentOptions(batchFirst: true)
      switch cell {
      case .rnn: memory = try RNN(8, width, options, key: keys[1], on: device)
      case .lstm:
        let lstm = try LSTM(8, width, options, key: keys[1], on: device)
        // Input gates that let little in, forget gates that let little go.
        try Self.setBias(of: lstm, [-5, 5], on: device)
        memory = lstm
      case .gru:
        let gru = try GRU(8, width, options, key: keys[1], on: device)
        // The update gate keeps the state.
        try Self.setBias(of: gru, [nil, 5], on: device)
        memory = gru
      }
    }

    /// Gates that remember for about as long as it takes (Tallec and Ollivier 2018).
    /// - Parameter values: Gate by gate; nil leaves what is there.
    private static func setBias(
      of layer: any Layer, _ values: [Float?], on device: Device
    ) throws {
      for named in layer.namedParameters() where named.name.hasPrefix("bias_ih") {
        var bias = try named.parameter.value.scalars()
        for (gate, value) in values.enumerated() {
          guard let value else { continue }
          for unit in 0..<CopyTaskTests.width { bias[gate * CopyTaskTests.width + unit] = value }
        }
        try named.parameter.assign(Tensor(bias, on: device))
      }
    }

    func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
      let silence = try Tensor.zeros([x.shape[0], CopyTaskTests.wait, 8], on: x.device)
      let sequence = try Tensor.concatenated(
        [symbols(x.unsqueezed(axis: 1), context), silence], axis: 1)
      return try head(
        memory(sequence, context).slice(axis: 1, start: -1).squeezed(axis: 1), context)
    }
  }

  private struct Copying: Objective {
    let device: Device
    let fingerprint = "copying"
    let stepsPerEpoch = 20
    let hasValidation = true
    let hasAccuracy = true

    func symbols(_ key: RandomKey, _ count: Int) throws -> Tensor {
      try Tensor(
        (0..<count).map {
          Int32(
            Philox.block(key: key.value, counter: UInt64($0))[0]
              % UInt32(CopyTaskTests.symbolCount))
        }, on: device)
    }

    func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
      Pass(objective: self, model: model, key: key)
    }

    func validate(_ model: any Layer) throws -> Figures? {
      let x = try symbols(RandomKey(99), 64)
      let logits = try model(x, .evaluation)
      let hits = try zip(
        logits.argMax(axis: 1).scalars(as: Int32.self), x.scalars(as: Int32.self)
      ).count { $0 == $1 }
      return Figures(
        loss: Double(try crossEntropy(logits, x).item()), accuracy: Double(hits) / 64)
    }

    private final class Pass: TrainingPass {
      private let objective: Copying
      private let model: any Layer
      private let key: RandomKey
      private var step = 0

      init(objective: Copying, model: any Layer, key: RandomKey) {
        (self.objective, self.model, self.key) = (objective, model, key)
      }

      func next() throws -> TrainingStep? {
        guard step < objective.stepsPerEpoch else { return nil }
        step += 1
        let x = try objective.symbols(key.folded(UInt64(step)), 16)
        return TrainingStep(weight: 16) { [model] in try crossEntropy(model(x, $0), x) }
      }
    }
  }

  /// With gates the gradient arrives and the symbol is learnt; without, the report says that nothing
  /// arrives at the table, and nothing is learnt.
  @Test(arguments: Cell.allCases) func whatRemembersLearns(_ cell: Cell) throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    var options = TrainingOptions()
    (options.epochs, options.clipNorm) = (12, 1)
    options.learningRate = cell == .gru ? 1e-2 : 3e-3
    options.schedule = .constant
    options.gradientReport = 0
    let model = try Network(cell, on: device)
    var reports: [TrainingEvent.Gradients.Layer] = []
    var last: TrainingEvent.Epoch?
    try Trainer(
      model: model, objective: Copying(device: device), options: options, device: device
    ).run(onEvent: {
      if case .gradients(let report) = $0 {
        reports += report.layers.filter { $0.name == "symbols.weight" }
      }
      if case .epoch(let epoch) = $0 { last = epoch }
    })
    #expect(reports.count == 12)
    if cell == .rnn {
      // Steps of the other parameters may let a little through for a while.
      let lost = reports.filter { $0.finding == .vanishing && $0.suggestion != nil }
      #expect(reports[0].finding == .vanishing && lost.count * 2 > reports.count)
      #expect((last?.validationAccuracy ?? 1) < 0.6)
    } else {
      #expect(reports.allSatisfy { $0.finding == .healthy })
      #expect(last?.validationAccuracy == 1)
    }
  }
}

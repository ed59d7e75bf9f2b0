import Apus
import Foundation

/// Random symbols to copy, new ones in every step: an objective of one's own for the trainer.
struct CopyObjective: Objective {
  let symbols: Int
  let rows: Int
  let stepsPerEpoch: Int
  let device: Device
  let hasValidation = true
  let hasAccuracy = true
  var fingerprint: String { "copy \(symbols) \(rows)" }

  func pass(over model: any Layer, key: RandomKey) throws -> any TrainingPass {
    Pass(objective: self, model: model, key: key)
  }

  func validate(_ model: any Layer) throws -> Figures? {
    let x = try draw(RandomKey(99), rows: 128)
    let logits = try model(x, .evaluation)
    let loss = try crossEntropy(logits.transposed(1, 2), x)
    let hits = try (logits.argMax(axis: 2) .== x).to(.float32).mean()
    return Figures(loss: Double(try loss.item()), accuracy: Double(try hits.item()))
  }

  func draw(_ key: RandomKey, rows: Int) throws -> Tensor {
    let values = (0..<rows * symbols).map { index in
      Int32(
        Philox.block(key: key.value, counter: UInt64(index))[0] % UInt32(CopyNetwork.symbolCount))
    }
    return try Tensor(values, shape: [rows, symbols], on: device)
  }

  private final class Pass: TrainingPass {
    private let objective: CopyObjective
    private let model: any Layer
    private let key: RandomKey
    private var step = 0

    init(objective: CopyObjective, model: any Layer, key: RandomKey) {
      (self.objective, self.model, self.key) = (objective, model, key)
    }

    func next() throws -> TrainingStep? {
      guard step < objective.stepsPerEpoch else { return nil }
      step += 1
      let x = try objective.draw(key.folded(UInt64(step)), rows: objective.rows)
      return TrainingStep(weight: objective.rows) { [model] context in
        // Class scores come second, as for images.
        try crossEntropy(model(x, context).transposed(1, 2), x)
      }
    }
  }
}

@main
struct CopyTask {
  /// CopyTask [cell] [wait] [symbols] [epochs] [device]
  static func main() {
    do {
      let given = Array(CommandLine.arguments.dropFirst())
      func number(_ place: Int, _ value: Int) -> Int {
        place < given.count ? Int(given[place]) ?? value : value
      }
      let cells =
        given.first.flatMap { CopyNetwork.Cell(rawValue: $0) }.map { [$0] }
        ?? CopyNetwork.Cell.allCases
      let device = try Devices.named(given.count > 4 ? given[4] : "cpu")
      for cell in cells {
        try learn(
          cell, wait: number(1, 200), symbols: number(2, 3), epochs: number(3, 40), on: device)
      }
    } catch {
      FileHandle.standardError.write(Data("copy task: \(error)\n".utf8))
      exit(1)
    }
  }

  private static func learn(
    _ cell: CopyNetwork.Cell, wait: Int, symbols: Int, epochs: Int, on device: Device
  ) throws {
    let model = try CopyNetwork(
      cell, width: 64, wait: wait, key: RandomKey(3), on: device)
    var options = TrainingOptions()
    options.epochs = epochs
    options.learningRate = cell == .rnn ? 3e-3 : 1e-2
    options.clipNorm = 1
    options.gradientReport = 0
    let objective = CopyObjective(symbols: symbols, rows: 32, stepsPerEpoch: 50, device: device)
    let trainer = try Trainer(
      model: model, objective: objective, options: options, device: device)
    try trainer.run(onEvent: { event in
      switch event {
      case .gradients(let report):
        guard let layer = report.layers.first(where: { $0.name == "symbols.weight" }) else {
          return
        }
        print(
          "\(cell.rawValue)  step \(report.step)  gradient of \(layer.name) "
            + String(format: "%.2e", layer.gradientNorm) + "  \(layer.finding.rawValue)")
      case .epoch(let epoch):
        print(
          "\(cell.rawValue)  step \(epoch.step)  loss "
            + String(
              format: "%.4f  right %.1f %%  %.1f s", epoch.validationLoss ?? .nan,
              100 * (epoch.validationAccuracy ?? 0), epoch.seconds))
      default: break
      }
    })
  }
}

import Apus
import Foundation

/// Shows a run: a bar that moves on a terminal, a plain line per epoch elsewhere, nothing when quiet.
struct ProgressReporter {
  let epochs: Int
  let stepsPerEpoch: Int
  let isQuiet: Bool
  private let isTerminal = Console.isTerminal

  init(epochs: Int, stepsPerEpoch: Int, isQuiet: Bool) {
    self.epochs = epochs
    self.stepsPerEpoch = stepsPerEpoch
    self.isQuiet = isQuiet
  }

  func show(_ event: TrainingEvent) {
    guard !isQuiet else { return }
    switch event {
    case .step(let step):
      guard isTerminal else { return }
      let done = step.step - (step.epoch - 1) * stepsPerEpoch
      let width = 24
      let filled = min(width, done * width / max(stepsPerEpoch, 1))
      let bar =
        String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
      Console.redraw(
        "epoch \(step.epoch)/\(epochs) \(bar) \(done)/\(stepsPerEpoch)  "
          + String(format: "loss %.4f", step.loss))
    case .gradients(let gradients):
      let ill = gradients.layers.filter { $0.finding != .healthy }
      guard !ill.isEmpty else { return }
      if isTerminal { Console.redraw("") }
      Console.note("gradients at step \(gradients.step):\n" + Self.text(of: ill))
    case .epoch(let epoch):
      var line = "epoch \(epoch.epoch)/\(epochs)  " + String(format: "loss %.4f", epoch.trainLoss)
      if let loss = epoch.validationLoss {
        line += String(format: "  validation loss %.4f", loss)
      }
      if let accuracy = epoch.validationAccuracy {
        line += "  accuracy \(Console.percent(accuracy))"
      }
      for (name, value) in (epoch.validationFigures ?? [:]).sorted(by: { $0.key < $1.key }) {
        line += "  \(name) " + String(format: "%.4g", value)
      }
      line += String(format: "  %.2f s", epoch.seconds)
      if isTerminal { Console.redraw("") }
      Console.note(line)
    case .earlyStop(let stop):
      Console.note(
        "stopped early: no better \(stop.monitor.rawValue.replacing("-", with: " ")) since epoch "
          + "\(stop.bestEpoch), whose weights are restored")
    case .result: break
    }
  }

  /// Ill layers by what ails them, a few by name, with what helps.
  private static func text(of ill: [TrainingEvent.Gradients.Layer]) -> String {
    let groups = Dictionary(grouping: ill, by: \.finding)
    return groups.sorted { $0.key.rawValue < $1.key.rawValue }.map { finding, layers in
      let names = layers.prefix(4).map {
        $0.name + String(format: " (norm %.3g of %.3g)", $0.gradientNorm, $0.parameterNorm)
      }.joined(separator: ", ")
      let more = layers.count > 4 ? " and \(layers.count - 4) more" : ""
      let word = finding == .notFinite ? "not finite" : finding.rawValue
      return "  \(word): \(names)\(more)\n    \(finding.suggestion ?? "")"
    }.joined(separator: "\n")
  }
}

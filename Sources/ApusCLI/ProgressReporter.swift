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
    case .epoch(let epoch):
      var line = "epoch \(epoch.epoch)/\(epochs)  " + String(format: "loss %.4f", epoch.trainLoss)
      if let loss = epoch.validationLoss, let accuracy = epoch.validationAccuracy {
        line += String(format: "  validation loss %.4f", loss)
        line += "  accuracy \(Console.percent(accuracy))"
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
}

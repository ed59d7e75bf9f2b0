import Foundation

/// How the learning rate changes over a run. Formulas and defaults are those of
/// `torch.optim.lr_scheduler`, in closed form: the rate of a step is a function of the step's number.
///
/// Schedules that count in epochs keep the rate within an epoch.
public enum LearningRateSchedule: Sendable, Hashable {
  case constant
  /// Falls in a straight line to 0 at the end of the run.
  case linear
  /// Half a cosine from the initial rate to 0 at the end of the run (Loshchilov and Hutter 2017,
  /// without restarts): `CosineAnnealingLR`, stepped at every step.
  case cosine
  /// Multiplied by `factor` after every `epochs` epochs: `StepLR`.
  case step(epochs: Int, factor: Double = 0.1)
  /// Multiplied by `factor` when that many epochs are complete: `MultiStepLR`.
  case multiStep(milestones: [Int], factor: Double = 0.1)
  /// Multiplied by `factor` after every epoch: `ExponentialLR`.
  case exponential(factor: Double)
  /// Up by half a cosine from 1/25 of the maximum over 30 % of the run, then down to 1/250000 of it
  /// (Smith and Topin 2019): `OneCycleLR` with its defaults, but the momentum is not cycled. The
  /// maximum is the run's learning rate for nil.
  case oneCycle(maximum: Double? = nil)
  /// Multiplied by `factor` when the monitored figure has not improved for more than `patience`
  /// epochs: `ReduceLROnPlateau`. Its memory is a ``Plateau``, kept by who runs the training.
  case plateau(factor: Double = 0.1, patience: Int = 10)

  /// The lengths that a schedule depends on.
  public struct Run: Sendable, Hashable {
    /// Steps of the whole run.
    public var steps: Int
    public var stepsPerEpoch: Int
    /// Steps over which the rate first rises, see ``LearningRateSchedule/learningRate(_:step:of:)``.
    public var warmup: Int

    public init(steps: Int, stepsPerEpoch: Int, warmup: Int = 0) {
      self.steps = steps
      self.stepsPerEpoch = stepsPerEpoch
      self.warmup = warmup
    }
  }

  /// The learning rate of a step.
  ///
  /// In a warm-up of `W` steps, step `t` has `(t + 1) / (W + 1)` of the rate it would have else
  /// (Goyal et al. 2017): `LinearLR` with `start_factor` 1/(W + 1). `linear` and `cosine` begin after
  /// it, as with `SequentialLR`; the others go on beneath it. `oneCycle` rises by itself and takes
  /// none.
  /// - Parameters:
  ///   - initial: The rate at the beginning; the largest one for `oneCycle`.
  ///   - step: Counted from 0.
  public func learningRate(_ initial: Float, step: Int, of run: Run) -> Float {
    guard case .oneCycle(let maximum) = self else {
      return initial * Float(warming(step, run.warmup) * factor(step, run))
    }
    return (maximum.map { Float($0) } ?? initial) * Float(Self.oneCycle(step, of: run.steps))
  }

  /// Whether the rate of a step depends on the length of the run: such a run cannot be prolonged.
  public var dependsOnLength: Bool {
    switch self {
    case .linear, .cosine, .oneCycle: true
    case .constant, .step, .multiStep, .exponential, .plateau: false
    }
  }

  private func warming(_ step: Int, _ warmup: Int) -> Double {
    step < warmup ? (Double(step) + 1) / (Double(warmup) + 1) : 1
  }

  private func factor(_ step: Int, _ run: Run) -> Double {
    let epoch = step / max(run.stepsPerEpoch, 1)
    let progress =
      Double(max(step - run.warmup, 0)) / Double(max(run.steps - run.warmup, 1))
    switch self {
    case .constant, .plateau, .oneCycle: return 1
    case .linear: return 1 - progress
    case .cosine: return (1 + cos(.pi * progress)) / 2
    case .step(let epochs, let factor): return pow(factor, Double(epoch / max(epochs, 1)))
    case .multiStep(let milestones, let factor):
      return pow(factor, Double(milestones.count { $0 <= epoch }))
    case .exponential(let factor): return pow(factor, Double(epoch))
    }
  }

  /// The share of the maximum; defaults and phases of `OneCycleLR`.
  private static func oneCycle(_ step: Int, of steps: Int) -> Double {
    let (initial, final) = (1.0 / 25, 1.0 / 25 / 1e4)
    let (peak, end) = (0.3 * Double(steps) - 1, Double(steps) - 1)
    func between(_ from: Double, _ to: Double, _ share: Double) -> Double {
      to + (from - to) / 2 * (1 + cos(.pi * share))
    }
    let step = Double(step)
    if step <= peak { return between(initial, 1, peak > 0 ? step / peak : 1) }
    return between(1, final, end > peak ? min((step - peak) / (end - peak), 1) : 1)
  }
}

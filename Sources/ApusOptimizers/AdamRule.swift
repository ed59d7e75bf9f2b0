import ApusDevice
import Foundation

extension OptimizerStep.Rule {
  /// The rule of step `step` with its bias corrections.
  static func adam(
    _ betas: (Float, Float), _ epsilon: Float, step: Int, decoupled: Bool
  ) -> OptimizerStep.Rule {
    .adam(
      beta1: betas.0, beta2: betas.1, epsilon: epsilon,
      correction1: Float(1 - pow(Double(betas.0), Double(step))),
      correction2: Float(1 - pow(Double(betas.1), Double(step))), decoupled: decoupled)
  }
}

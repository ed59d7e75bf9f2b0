import Foundation

/// How the learning rate changes over a run, as a factor of its initial value.
public enum LearningRateSchedule: String, Sendable, Hashable, Codable, CaseIterable {
  case constant
  /// Falls in a straight line to 0.
  case linear
  /// Half a cosine from the initial value to 0 (Loshchilov and Hutter 2017, without restarts).
  case cosine

  /// The factor for step `step` of `total`, counted from 0.
  public func factor(step: Int, of total: Int) -> Float {
    let progress = Double(step) / Double(max(total, 1))
    switch self {
    case .constant: return 1
    case .linear: return Float(1 - progress)
    case .cosine: return Float((1 + cos(.pi * progress)) / 2)
    }
  }
}

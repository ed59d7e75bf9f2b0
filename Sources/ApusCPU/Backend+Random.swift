import ApusDevice
import CVector

extension CPUBackend {
  func random(_ distribution: RandomDistribution, _ key: RandomKey, _ out: Operand) throws {
    try require(.float32, out, "random")
    try withContiguous(out) { out in
      let target = try floats(out)
      switch distribution {
      case .uniform(let low, let high):
        apus_random(APUS_UNIFORM, low, high, key.value, out.count, target)
      case .normal(let mean, let standardDeviation):
        apus_random(APUS_NORMAL, mean, standardDeviation, key.value, out.count, target)
      case .bernoulli(let probability):
        apus_random(APUS_BERNOULLI, probability, 0, key.value, out.count, target)
      }
    }
  }

  func dropout(_ probability: Float, _ key: RandomKey, _ x: Operand, _ out: Operand) throws {
    try require(.float32, x, "dropout")
    guard probability < 1 else { return try fill(0, out) }
    try reading(x) { dense in
      try withContiguous(out) {
        apus_dropout(probability, key.value, x.count, try floats(dense[0]), try floats($0))
      }
    }
  }
}

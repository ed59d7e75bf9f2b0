import ApusDevice
import ApusOpenCL
import Testing

/// Every fused kernel against its composed body on the same device.
@Suite(.serialized) struct FusedTests {
  let device: OpenCLBackend
  init() throws { device = try sharedDevice() }

  private func expectAgreement(
    _ operation: Operation, _ inputs: [Operand], _ shapes: [[Int]], _ tolerance: Float
  ) throws {
    let fused = try shapes.map { try device.temporary($0) }
    let composed = try shapes.map { try device.temporary($0) }
    try device.enqueue(operation, inputs, fused)
    try device.compose(Command(operation, inputs: inputs, outputs: composed))
    for (index, (a, b)) in zip(fused, composed).enumerated() {
      let got = try download(device, a, as: Float.self)
      let want = try download(device, b, as: Float.self)
      #expect(closeTo(got, want, tolerance), "\(operation), output \(index)")
    }
  }

  private func random(_ shape: [Int], _ seed: UInt64) throws -> Operand {
    try upload(device, samples(shape.reduce(1, *), seed: seed), shape, .float32)
  }

  @Test(arguments: [[1, 1], [7, 10], [33, 64], [3, 1000], [600, 17]])
  func rows(shape: [Int]) throws {
    let (r, c) = (shape[0], shape[1])
    let (x, dy) = (try random(shape, 1), try random(shape, 2))
    try expectAgreement(.softmax, [x], [shape], 1e-5)
    try expectAgreement(.logSoftmax, [x], [shape], 1e-5)
    try expectAgreement(.softmaxBackward, [x, dy], [shape], 1e-4)
    try expectAgreement(.logSoftmaxBackward, [x, dy], [shape], 1e-4)
    let (weight, bias) = (try random([c], 3), try random([c], 4))
    if c > 1 {
      try expectAgreement(
        .layerNorm(epsilon: 1e-5), [x, weight, bias], [shape, [r], [r]], 1e-4)
      try expectAgreement(.layerNorm(epsilon: 1e-5), [x], [shape, [r], [r]], 1e-4)
    }
    let (mean, rstd) = (try random([r], 5), try random([r], 6))
    try expectAgreement(
      .layerNormBackward, [x, mean, rstd, dy, weight], [shape, [c], [c]], 1e-3)
    try expectAgreement(
      .linearActivationBackward(activation: .tanh), [x, dy], [shape, [c]], 1e-4)
    try expectAgreement(.linearActivationBackward(activation: nil), [x, dy], [shape, [c]], 1e-4)
    let targets = (0..<r).map { $0 % 5 == 4 ? Int32(-100) : Int32($0 % c) }
    let labels = try upload(device, targets, [r], .int32)
    for smoothing in [Float(0), 0.1] {
      let operation = Operation.crossEntropy(labelSmoothing: smoothing, ignoreIndex: -100)
      try expectAgreement(operation, [x, labels], [[r], [r], shape], 1e-4)
      try expectAgreement(operation, [x, labels, weight], [[r], [r]], 1e-4)
    }
    try expectAgreement(.dropout(probability: 0.3, key: RandomKey(7)), [x], [shape], 1e-6)
    try expectAgreement(.sumOfSquares, [x, weight, bias], [[]], 1e-5)
  }

  @Test(arguments: [
    OptimizerStep.Rule.sgd(momentum: 0, dampening: 0, nesterov: false, isFirst: false),
    .sgd(momentum: 0.9, dampening: 0.1, nesterov: false, isFirst: false),
    .sgd(momentum: 0.9, dampening: 0, nesterov: true, isFirst: true),
    .adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-8, correction1: 0.1, correction2: 0.001,
      decoupled: false),
    .adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-8, correction1: 0.1, correction2: 0.001,
      decoupled: true),
    .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0.9, centered: true),
    .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0.9, centered: false),
    .adagrad(epsilon: 1e-10),
  ])
  func optimizers(rule: OptimizerStep.Rule) throws {
    let step = OptimizerStep(
      rule: rule, learningRate: 0.01, weightDecay: 0.1, hasGradientScale: true)
    var inputs: [Operand] = []
    var shapes: [[Int]] = []
    for (k, count) in [5003, 10].enumerated() {
      inputs.append(try random([count], UInt64(k + 1)))
      inputs.append(try random([count], UInt64(k + 3)))
      for s in 0..<step.stateCount {
        // Averages of squares are positive and exceed the square of the average.
        let isSquare = if case .sgd = rule { false } else { true }
        let values = samples(count, seed: UInt64(k + 5 + s)).map {
          isSquare && s < 2 ? abs($0) * (s == 0 ? 1 : 0.1) + (s == 0 ? 1 : 0) : $0
        }
        inputs.append(try upload(device, values, [count], .float32))
      }
      shapes += Array(repeating: [count], count: 1 + step.stateCount)
    }
    inputs.append(try upload(device, [Float(0.5)], [], .float32))
    try expectAgreement(.optimizerStep(step), inputs, shapes, 1e-5)
  }

  @Test func steadyStateAllocatesNothingAndNeverWaits() throws {
    let x = try random([64, 64], 1)
    func step() throws {
      let y = try device.temporary([64, 64])
      try device.enqueue(.unary(.relu), [x], [y])
      let z = try device.temporary([64, 64])
      try device.enqueue(.softmax, [y], [z])
    }
    try step()
    let before = device.counters
    for _ in 0..<100 { try step() }
    let after = device.counters
    #expect(after.allocations == before.allocations)
    #expect(after.synchronizations == before.synchronizations)
    #expect(after.launches - before.launches == 200)
    try device.synchronize()
  }
}

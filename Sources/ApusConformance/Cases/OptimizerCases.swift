import ApusDevice

/// The rules by the name of their row.
private let rules: [(String, [OptimizerStep.Rule])] = [
  (
    "sgd",
    [
      .sgd(momentum: 0, dampening: 0, nesterov: false, isFirst: false),
      .sgd(momentum: 0.9, dampening: 0.1, nesterov: false, isFirst: false),
      .sgd(momentum: 0.9, dampening: 0, nesterov: true, isFirst: true),
      .sgd(momentum: 0.9, dampening: 0, nesterov: true, isFirst: false),
    ]
  ),
  (
    "adam",
    [true, false].map {
      .adam(
        beta1: 0.9, beta2: 0.999, epsilon: 1e-8, correction1: 0.19, correction2: 0.002,
        decoupled: $0)
    }
  ),
  (
    "rmsprop",
    [
      .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0, centered: false),
      .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0.9, centered: true),
      .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0.9, centered: false),
      .rmsprop(alpha: 0.9, epsilon: 1e-8, momentum: 0, centered: true),
    ]
  ),
  ("adagrad", [.adagrad(epsilon: 1e-10)]),
]

package let optimizerCases: [OpCase] = rules.map { name, rules in
  OpCase(
    "optimizerStep \(name)", .rounding(2e-6, "a dozen rounded steps, one root and one quotient"),
    rules.flatMap { rule in
      [Float(0), 0.1].flatMap { decay in
        [false, true].flatMap { hasScale in
          [[10], [5003, 1, 0, 130], [70_003]].map { counts in
            optimizerTrial(
              OptimizerStep(
                rule: rule, learningRate: 0.05, weightDecay: decay, hasGradientScale: hasScale),
              counts)
          }
        }
      }
    })
}

/// One step over parameters of the given sizes.
func optimizerTrial(_ step: OptimizerStep, _ counts: [Int]) -> Trial {
  var inputs: [Input] = []
  var outputs: [Output] = []
  for count in counts {
    inputs.append(Input([count], .uniform(-1, 1)))
    inputs.append(Input([count], .uniform(-2, 2)))
    for state in 0..<step.stateCount { inputs.append(Input([count], stateValues(step, state))) }
    outputs += Array(repeating: Output([count]), count: 1 + step.stateCount)
  }
  if step.hasGradientScale { inputs.append(Input([], .list([0.5]))) }
  return Trial(
    operation: .optimizerStep(step), inputs: inputs, outputs: outputs, scale: 1,
    placements: [.dense, .offset])
}

/// Averages of squares are positive and exceed the square of the average.
private func stateValues(_ step: OptimizerStep, _ state: Int) -> Values {
  switch (step.rule, state) {
  case (.sgd, _), (.adam, 0): .uniform(-1, 1)
  case (.adam, _), (.adagrad, _), (.rmsprop, 0): .uniform(0.5, 2)
  case (.rmsprop, _): .uniform(-0.5, 0.5)
  }
}

import ApusDevice

/// The checks of a case on a device.
package struct Conformance {
  let device: any Backend
  /// What was wrong, in words.
  package private(set) var problems: [String] = []
  /// The largest error met, in the units of ``Tolerance``.
  package private(set) var worst = 0.0

  package init(_ device: any Backend) { self.device = device }

  /// How many of the problems are that the device does not take an element type.
  package private(set) var refusals = 0

  /// How many are that memory did not suffice.
  package private(set) var shortages = 0

  /// Every trial in every placement: agreement with the reference, guards, inputs left alone, and
  /// the same bits when repeated.
  package mutating func check(_ opCase: OpCase) {
    for trial in opCase.trials {
      var expected = Expected(trial)
      for placement in trial.placements {
        let label = "\(trial.operation) \(trial.inputs.map(\.shape)) \(placement)"
        do {
          try check(trial, placement, opCase.tolerance, &expected, label)
        } catch { note(error, label) }
      }
    }
  }

  private mutating func note(_ error: any Error, _ label: String) {
    problems.append("\(label): \(error)")
    worst = .infinity
    switch (error as? ApusError)?.kind {
    case .dtype: refusals += 1
    case .outOfMemory: shortages += 1
    default: break
    }
  }

  /// A fused operation against its composed body, both on the device.
  package mutating func checkComposition(_ opCase: OpCase) {
    for trial in opCase.trials where trial.operation.isFused {
      let label = "\(trial.operation) \(trial.inputs.map(\.shape)) fused"
      do { try checkComposition(trial, opCase.tolerance, label) } catch { note(error, label) }
    }
  }

  private mutating func checkComposition(
    _ trial: Trial, _ tolerance: Tolerance, _ label: String
  ) throws {
    let tensors = hostInputs(trial, .dense)
    let inputs = try place(tensors, .dense, on: device)
    let fused = try emptyOutputs(trial, .dense, on: device)
    let composed = try emptyOutputs(trial, .dense, on: device)
    try device.enqueue(trial.operation, inputs.map(\.operand), fused.map(\.operand))
    try device.compose(
      Command(trial.operation, inputs: inputs.map(\.operand), outputs: composed.map(\.operand)))
    let tolerance = tolerance.fitting(
      device.matrixPrecision, where: trial.operation.isComposedOfProducts)
    for (i, (a, b)) in zip(fused, composed).enumerated() {
      compare(
        try a.decode(try a.download(from: device)), try b.decode(try b.download(from: device)),
        Placement.dense.scale(of: trial), tolerance, "\(label), output \(i)")
    }
  }

  private mutating func check(
    _ trial: Trial, _ placement: Placement, _ tolerance: Tolerance, _ expected: inout Expected,
    _ label: String
  ) throws {
    let wanted = try expected.outputs(placement)
    let inputs = try place(hostInputs(trial, placement), placement, on: device)
    let outputs = try emptyOutputs(trial, placement, on: device)
    let again = try emptyOutputs(trial, placement, on: device)
    try device.enqueue(trial.operation, inputs.map(\.operand), outputs.map(\.operand))
    try device.enqueue(trial.operation, inputs.map(\.operand), again.map(\.operand))
    let tolerance = tolerance.fitting(
      device.matrixPrecision, where: trial.operation.hasProducts)
    for (i, output) in outputs.enumerated() {
      let bytes = try output.download(from: device)
      if output.isGuardBroken(in: bytes) {
        problems.append("\(label): output \(i) was written outside its elements")
      }
      if try again[i].download(from: device) != bytes {
        problems.append("\(label): output \(i) has other bits when repeated")
      }
      compare(
        try output.decode(bytes), wanted[i], placement.scale(of: trial), tolerance,
        "\(label), output \(i)")
    }
    for (i, input) in inputs.enumerated() where try input.download(from: device) != input.bytes {
      problems.append("\(label): input \(i) was changed")
    }
  }

  /// Notes the worst error, and the first element beyond the tolerance as a problem.
  mutating func compare(
    _ got: [Double], _ want: [Double], _ scale: Double, _ tolerance: Tolerance, _ label: String
  ) {
    var first: Int?
    for (i, (a, b)) in zip(got, want).enumerated() {
      let error = Tolerance.error(a, b, scale: scale)
      worst = max(worst, error)
      if error > tolerance.limit && first == nil { first = i }
    }
    guard let first else { return }
    let largest = zip(got, want).map { Tolerance.error($0, $1, scale: scale) }.max() ?? 0
    problems.append(
      """
      \(label): element \(first) is \(got[first]), the reference has \(want[first]); largest error \
      \(largest), allowed \(tolerance.limit) (\(tolerance.reason))
      """)
  }
}

/// What the reference makes of a trial; placements with the same values share it.
struct Expected {
  private let trial: Trial
  private var known: [Placement: [[Double]]] = [:]

  init(_ trial: Trial) { self.trial = trial }

  mutating func outputs(_ placement: Placement) throws -> [[Double]] {
    let key: Placement = placement.isRepeated ? placement : .dense
    if let result = known[key] { return result }
    let inputs = try place(hostInputs(trial, key), .dense, on: oracle)
    let outputs = try emptyOutputs(trial, .dense, on: oracle)
    try oracle.enqueue(trial.operation, inputs.map(\.operand), outputs.map(\.operand))
    let result = try outputs.map { try $0.decode(try $0.download(from: oracle)) }
    known[key] = result
    return result
  }
}

package func hostInputs(_ trial: Trial, _ placement: Placement) -> [HostTensor] {
  trial.inputs.enumerated().map { i, input in
    var tensor = HostTensor(input, seed: i)
    for axis in placement.input(i).repeatedAxes(input.shape) { tensor.makeConstant(along: axis) }
    return tensor
  }
}

package func place(
  _ tensors: [HostTensor], _ placement: Placement, on device: any Backend
) throws -> [Placed] {
  try tensors.enumerated().map { i, tensor in
    try Placed(tensor.shape, tensor.dtype, placement.input(i), tensor, on: device)
  }
}

package func emptyOutputs(
  _ trial: Trial, _ placement: Placement, on device: any Backend
) throws -> [Placed] {
  try trial.outputs.enumerated().map { i, output in
    try Placed(output.shape, output.dtype, placement.output(i), nil, on: device)
  }
}

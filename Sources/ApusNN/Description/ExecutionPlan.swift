import ApusDevice

/// In which order a graph runs, and which of its layers run in one operation.
///
/// A convolution, a linear layer or a batch normalisation takes into its own pass what follows it, as
/// long as nobody else reads what lies between: one addition, then one activation. The chain runs
/// where its last layer stands, since by then the other operand of the addition is there.
struct ExecutionPlan: Sendable {
  struct Step: Sendable {
    /// The layer that computes.
    let node: Int
    /// The place of what is added, and the function of the sum.
    var addend: Int?
    var activation: UnaryOp?
    /// The place that holds the result.
    var result: Int
  }

  let steps: [Step]
  /// For every place the last step that reads it; outputs are kept to the end.
  let lastUse: [Int]

  /// - Parameters:
  ///   - inputCount: Places before those of the nodes.
  ///   - outputs: Places that must hold their own values.
  init(_ nodes: [GraphModel.Node], inputCount: Int, outputs: [Int]) {
    var readers = [[Int]](repeating: [], count: inputCount + nodes.count)
    for (index, node) in nodes.enumerated() {
      for source in node.inputs { readers[source].append(index) }
    }
    // An output has a reader that no chain can take.
    for output in outputs { readers[output].append(nodes.count) }
    var isTaken = [Bool](repeating: false, count: nodes.count)
    var steps: [Step] = []
    for (index, node) in nodes.enumerated() where !isTaken[index] {
      var step = Step(node: index, result: inputCount + index)
      if case .epilogue(_, nil) = node.built.kind {
        while readers[step.result].count == 1, case let next = readers[step.result][0],
          next < nodes.count, !isTaken[next], step.take(nodes[next])
        {
          isTaken[next] = true
          step.result = inputCount + next
        }
      }
      steps.append(step)
    }
    steps.sort { $0.result < $1.result }
    var lastUse = [Int](repeating: -1, count: readers.count)
    for (index, step) in steps.enumerated() {
      for source in nodes[step.node].inputs { lastUse[source] = index }
      if let addend = step.addend { lastUse[addend] = index }
    }
    for output in outputs { lastUse[output] = steps.count }
    self.steps = steps
    self.lastUse = lastUse
  }
}

extension ExecutionPlan.Step {
  /// Takes the layer that reads the result into the pass, where that can be.
  fileprivate mutating func take(_ follower: GraphModel.Node) -> Bool {
    guard activation == nil else { return false }
    switch follower.built.kind {
    case .add where addend == nil && follower.inputs.count == 2:
      addend = follower.inputs[0] == result ? follower.inputs[1] : follower.inputs[0]
      return true
    case .layer(let layer):
      activation = (layer as? any ActivationLayer)?.function
      return activation != nil
    default: return false
    }
  }
}

import ApusDevice

/// An operation to tune, with the shapes and memory orders of its operands.
package struct TuningJob: Hashable, Sendable {
  package struct Shape: Hashable, Sendable {
    package let layout: Layout
    package let dtype: DType

    package init(_ layout: Layout, _ dtype: DType = .float32) {
      self.layout = layout
      self.dtype = dtype
    }
  }

  package let operation: ApusDevice.Operation
  package let inputs: [Shape]
  package let outputs: [Shape]

  package init(_ operation: ApusDevice.Operation, _ inputs: [Shape], _ outputs: [Shape]) {
    self.operation = operation
    self.inputs = inputs
    self.outputs = outputs
  }

  /// The job of a command; nil where its operation has nothing to choose, or is empty
  /// or not about `float32`.
  package init?(_ command: Command) {
    guard Self.canTune(command.operation) else { return nil }
    func shapes(_ operands: [Operand]) -> [Shape] { operands.map { Shape($0.layout, $0.dtype) } }
    self.init(command.operation, shapes(command.inputs), shapes(command.outputs))
    guard (inputs + outputs).allSatisfy({ $0.layout.count > 0 }), outputs[0].dtype == .float32
    else { return nil }
  }

  /// Whether plans of the operation have parameters. None of these writes to what it reads.
  package static func canTune(_ operation: ApusDevice.Operation) -> Bool {
    switch operation {
    case .gemm, .linear, .convolution, .convolutionInputGradient, .convolutionWeightGradient,
      .convolutionBackward, .recurrence, .recurrenceBackward, .softmax, .softmaxBackward,
      .logSoftmax, .logSoftmaxBackward, .layerNorm, .layerNormBackward, .crossEntropy, .reduce,
      .copy:
      true
    default: false
    }
  }

  /// The name under which users choose it.
  package var name: String {
    switch operation {
    case .gemm, .linear: "gemm"
    case .convolution: "convolution"
    case .convolutionInputGradient: "convolutionInputGradient"
    case .convolutionWeightGradient: "convolutionWeightGradient"
    case .convolutionBackward: "convolutionBackward"
    case .recurrence: "recurrence"
    case .recurrenceBackward: "recurrenceBackward"
    case .reduce: "reduce"
    case .copy: "transpose"
    default: "\(operation)".prefix { $0 != "(" }.description
    }
  }

  /// About how many products or elements there are, to tell large jobs from small ones.
  package var work: Int { max(terms * (outputs.first?.layout.count ?? 0), 1) }

  /// Products of an output.
  private var terms: Int {
    func shape(_ index: Int) -> [Int] { inputs[index].layout.shape }
    switch operation {
    case .gemm: return shape(0)[2]
    case .linear: return shape(0)[1]
    case .convolution: return shape(1).dropFirst().reduce(1, *)
    case .convolutionInputGradient, .convolutionBackward:
      let weight = shape(inputs.count - 1)
      return weight[0] * weight[2] * weight[3]
    case .convolutionWeightGradient: return shape(1)[0] * shape(1)[2] * shape(1)[3]
    case .recurrence(let recurrence): return recurrence.gateCount * outputs[0].layout.shape[2]
    case .recurrenceBackward: return shape(0)[1]
    case .reduce: return shape(0).reduce(1, *) / max(outputs[0].layout.count, 1)
    default: return 1
    }
  }
}

// MARK: What the reference computes

extension TuningJob {
  /// The axis of each operand that may be thinned out without changing what is left; nil for an operand
  /// that stays whole, or (of the outputs) is compared with the usual way alone.
  private var thinning: (inputs: [Int?], outputs: [Int?])? {
    let (ins, outs) = (inputs.count, outputs.count)
    func axes(_ given: [Int?], _ count: Int) -> [Int?] {
      Array((given + [Int?](repeating: nil, count: count)).prefix(count))
    }
    switch operation {
    case .gemm: return (axes([1], ins), axes([1], outs))
    case .linear: return (axes([0], ins), axes([0], outs))
    case .convolution: return (axes([0, nil, nil, 0], ins), axes([0], outs))
    case .convolutionInputGradient: return (axes([0], ins), axes([0], outs))
    case .convolutionWeightGradient(let convolution):
      return convolution.groups == 1 ? (axes([nil, 1], ins), axes([0, 0], outs)) : nil
    case .convolutionBackward: return (axes([0, 0], ins), axes([0], outs))
    case .recurrence(let recurrence):
      // gates, weight, bias?, h0, c0?, lengths? → y, hn, cn?, saved?
      var rows: [Int?] = [1, nil]
      if recurrence.hasBias { rows.append(nil) }
      rows.append(0)
      if recurrence.hasCellState { rows.append(0) }
      if recurrence.hasLengths { rows.append(0) }
      return (rows, axes(recurrence.hasCellState ? [1, 0, 0, 1] : [1, 0, 1], outs))
    case .recurrenceBackward(let recurrence):
      // weight, y, saved?, h0, c0?, lengths?, dy, dhn, dcn? → dgates, dweight, dbias?, dh0, dc0?
      let hasCell = recurrence.hasCellState
      let usual = 5 + (hasCell ? 2 : 0) + (recurrence.hasLengths ? 1 : 0)
      var rows: [Int?] = [nil, 1] + (ins > usual ? [1] : []) + [0] + (hasCell ? [0] : [])
      rows += (recurrence.hasLengths ? [0] : []) + [1, 0] + (hasCell ? [0] : [])
      let states: [Int?] = hasCell ? [0, 0] : [0]
      let sums = [Int?](repeating: nil, count: outs - 1 - states.count)
      return (rows, [1] + sums + states)
    case .softmax, .softmaxBackward, .logSoftmax, .logSoftmaxBackward:
      guard inputs[0].layout.shape.count > 1 else { return nil }
      return ([Int?](repeating: 0, count: ins), axes([0], outs))
    case .reduce(_, let axes):
      guard let axis = inputs[0].layout.shape.indices.first(where: { !axes.contains($0) }) else {
        return nil
      }
      return ([axis], [axis])
    default: return nil
    }
  }

  /// Which part of the operation the reference is asked for: evenly spaced positions along one axis, the
  /// first and about the last among them, at most some millions of products.
  package func thinned() -> (inputs: [Layout], outputs: [Layout?]) {
    guard let axes = thinning,
      let extent = zip(outputs, axes.outputs).lazy.compactMap({ shape, axis in
        axis.map { shape.layout.shape[$0] }
      }).first
    else { return (inputs.map(\.layout), outputs.map(\.layout)) }
    let each = max(work / extent, 1)
    let count = min(extent, max(2, 10_000_000 / each))
    let step = count > 1 ? (extent - 1) / (count - 1) : 1
    func thin(_ layout: Layout, _ axis: Int) -> Layout {
      layout.sliced(axis: axis, start: 0, length: count, step: step)
    }
    return (
      zip(inputs, axes.inputs).map { shape, axis in
        axis.map { thin(shape.layout, $0) } ?? shape.layout
      },
      zip(outputs, axes.outputs).map { shape, axis in axis.map { thin(shape.layout, $0) } }
    )
  }
}

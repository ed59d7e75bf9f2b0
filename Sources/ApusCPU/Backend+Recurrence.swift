import ApusDevice
import CVector

extension CPUBackend {
  func recurrence(_ recurrence: Recurrence, _ command: Command) throws {
    let it = Recurrence.Forward(command, recurrence)
    for operand in [it.gates, it.weight, it.h0] { try require(.float32, operand, "recurrence") }
    // What a pass only writes, it writes in full; the cell state is carried in `cn`.
    try writing([it.y, it.hn, it.cn, it.saved]) { outputs in
      try reading([it.gates, it.weight, it.h0] + [it.bias, it.lengths].compactMap { $0 }) {
        inputs in
        if let c0 = it.c0, let cn = outputs[2] { try move(c0, cn) }
        var data = apus_recurrence(
          h0: try floats(inputs[2]), c0: nil, y: try floats(outputs[0] ?? it.y), saved: nil,
          gates: try floats(inputs[0]), hn: nil, c: nil, dy: nil, dh: nil, dc: nil, dgates: nil,
          products: nil, reset: nil, previous: nil, dbias_rows: nil)
        data.hn = try outputs[1].map { try floats($0) }
        data.c = try outputs[2].map { try floats($0) }
        data.saved = try outputs[3].map { try floats($0) }
        let bias = it.bias == nil ? nil : try floats(inputs[3])
        let lengths = it.lengths == nil ? nil : try words(inputs[inputs.count - 1])
        let shape = it.y.shape
        try withRecurrentScratch(recurrence, isBackward: false, shape[2]) {
          apus_recurrence_forward(
            recurrence.cell.code, recurrence.isReversed, shape[0], shape[1], shape[2],
            try floats(inputs[1]), bias, lengths, &data, $0)
        }
      }
    }
  }

  func recurrenceBackward(_ recurrence: Recurrence, _ command: Command) throws {
    let it = Recurrence.Backward(command, recurrence)
    for operand in [it.weight, it.y, it.dy] {
      try require(.float32, operand, "recurrence backward")
    }
    let (steps, rows, width) = (it.y.shape[0], it.y.shape[1], it.y.shape[2])
    let gates = recurrence.gateCount * width
    let previous = try temporary([steps * rows, width])
    let biasRows = try it.dbias.map { _ in try temporary([rows, gates]) }
    try writing([it.dgates, it.dh0, it.dc0]) { outputs in
      let dgates = outputs[0] ?? it.dgates
      // The gradients of a GRU's product are kept until a step has gone back, its candidate's for the weight.
      let isReset = recurrence.cell == .gru
      let products = isReset ? try temporary([rows, gates]) : nil
      let reset = isReset ? try temporary([steps * rows, width]) : nil
      let optional = [it.saved, it.c0, it.lengths].compactMap { $0 }
      try reading([it.weight, it.y, it.h0, it.dy] + optional) { inputs in
        if let dh = outputs[1] { try move(it.dhn, dh) }
        if let dcn = it.dcn, let dc = outputs[2] { try move(dcn, dc) }
        var data = apus_recurrence(
          h0: try floats(inputs[2]), c0: nil, y: try floats(inputs[1]), saved: nil, gates: nil,
          hn: nil, c: nil, dy: try floats(inputs[3]), dh: nil, dc: nil,
          dgates: try floats(dgates), products: try products.map { try floats($0) },
          reset: try reset.map { try floats($0) }, previous: try floats(previous),
          dbias_rows: try biasRows.map { try floats($0) })
        data.saved = it.saved == nil ? nil : try floats(inputs[4])
        data.c0 = it.c0 == nil ? nil : UnsafePointer(try floats(inputs[5]))
        data.dh = try outputs[1].map { try floats($0) }
        data.dc = try outputs[2].map { try floats($0) }
        let lengths = it.lengths == nil ? nil : try words(inputs[inputs.count - 1])
        try withRecurrentScratch(recurrence, isBackward: true, width) {
          apus_recurrence_backward(
            recurrence.cell.code, recurrence.isReversed, steps, rows, width,
            try floats(inputs[0]), lengths, &data, $0)
        }
      }
      for (inputs, output) in it.weightProducts(dgates, reset: reset, previous: previous) {
        try gemm(inputs[0], inputs[1], output)
      }
      if let dbias = it.dbias, let biasRows {
        let row = Layout(
          shape: [1, gates], strides: [0, dbias.layout.strides[0]], offset: dbias.layout.offset)
        try reduce(.sum, [0], biasRows, dbias.with(row))
      }
    }
  }

  private func withRecurrentScratch(
    _ recurrence: Recurrence, isBackward: Bool, _ width: Int,
    _ body: (UnsafeMutablePointer<Float>) throws -> Void
  ) throws {
    let size = apus_recurrence_scratch(recurrence.cell.code, isBackward, width)
    try withScratch(max(size, 4)) {
      if let scratch = $0 { try body(scratch.assumingMemoryBound(to: Float.self)) }
    }
  }

  /// Runs `body` on contiguous forms of the outputs there are, which are then copied where needed.
  private func writing(_ outputs: [Operand?], _ body: ([Operand?]) throws -> Void) throws {
    let dense = try outputs.map { output in
      try output.map { $0.layout.isContiguous ? $0 : try temporary($0.shape, $0.dtype) }
    }
    try body(dense)
    for case (let output?, let copy?) in zip(outputs, dense) where !output.layout.isContiguous {
      try move(copy, output)
    }
  }
}

extension Recurrence.Cell {
  fileprivate var code: apus_cell {
    switch self {
    case .tanh: APUS_RNN_TANH
    case .relu: APUS_RNN_RELU
    case .lstm: APUS_LSTM
    case .gru: APUS_GRU
    }
  }
}

import ApusDevice
import CVector

extension CPUBackend {
  /// Rows and columns of an operand whose last axis is the row.
  private func rows(_ x: Operand) -> (Int, Int) {
    let columns = x.shape.last ?? 1
    return (columns == 0 ? 0 : x.count / columns, columns)
  }

  func softmax(logarithm: Bool, _ x: Operand, _ out: Operand) throws {
    try require(.float32, x, logarithm ? "logSoftmax" : "softmax")
    let (rows, columns) = rows(x)
    try reading(x) { dense in
      try withContiguous(out) {
        apus_softmax(
          logarithm, rows, columns, try floats(dense[0]), columns, try floats($0), columns)
      }
    }
  }

  func softmaxBackward(logarithm: Bool, _ y: Operand, _ dy: Operand, _ dx: Operand) throws {
    try require(.float32, y, "softmax backward")
    let (rows, columns) = rows(y)
    try reading(y, dy) { dense in
      try withContiguous(dx) {
        apus_softmax_backward(
          logarithm, rows, columns, try floats(dense[0]), columns, try floats(dense[1]), columns,
          try floats($0), columns)
      }
    }
  }

  func crossEntropy(
    _ smoothing: Float, _ ignored: Int32, _ inputs: [Operand], _ outputs: [Operand]
  ) throws {
    try require(.float32, inputs[0], "crossEntropy")
    try require(.int32, inputs[1], "crossEntropy")
    try reading(inputs) { inputs in
      let (n, classes) = (inputs[0].shape[0], inputs[0].shape[1])
      let weights = inputs.count > 2 ? try floats(inputs[2]) : nil
      let targets = try words(inputs[1])
      try withContiguous(outputs[0]) { losses in
        try withContiguous(outputs[1]) { rowWeights in
          func run(_ gradient: Operand?) throws {
            let bad = apus_cross_entropy(
              smoothing, ignored, n, classes, try floats(inputs[0]), targets, weights,
              try floats(losses), try floats(rowWeights), try gradient.map { try floats($0) })
            guard bad < 0 else {
              throw ApusError(
                .value, operation: "crossEntropy",
                """
                target \(targets[bad]) of row \(bad) is outside 0..<\(classes), the classes of the \
                logits \(inputs[0].shape); targets to skip must be \(ignored)
                """)
            }
          }
          if outputs.count > 2 {
            try withContiguous(outputs[2]) { try run($0) }
          } else {
            try run(nil)
          }
        }
      }
    }
  }

  func layerNorm(_ epsilon: Float, _ inputs: [Operand], _ outputs: [Operand]) throws {
    try require(.float32, inputs[0], "layerNorm")
    try reading(inputs) { inputs in
      let (rows, columns) = (inputs[0].shape[0], inputs[0].shape[1])
      let weight = inputs.count > 1 ? try floats(inputs[1]) : nil
      let bias = inputs.count > 2 ? try floats(inputs[2]) : nil
      try withContiguous(outputs[0]) { y in
        try withContiguous(outputs[1]) { mean in
          try withContiguous(outputs[2]) { rstd in
            apus_layer_norm(
              epsilon, rows, columns, try floats(inputs[0]), weight, bias, try floats(y),
              try floats(mean), try floats(rstd))
          }
        }
      }
    }
  }

  func layerNormBackward(_ inputs: [Operand], _ outputs: [Operand]) throws {
    try require(.float32, inputs[0], "layerNorm backward")
    try reading(inputs) { inputs in
      let (rows, columns) = (inputs[0].shape[0], inputs[0].shape[1])
      let weight = inputs.count > 4 ? try floats(inputs[4]) : nil
      func run(_ dx: Operand, _ dweight: Operand?, _ dbias: Operand?) throws {
        let parts = dweight == nil ? 0 : apus_layer_norm_parts(rows)
        try withScratch(parts * columns * 8) { scratch in
          apus_layer_norm_backward(
            rows, columns, try floats(inputs[0]), try floats(inputs[1]), try floats(inputs[2]),
            try floats(inputs[3]), weight, try floats(dx), try dweight.map { try floats($0) },
            try dbias.map { try floats($0) }, scratch?.assumingMemoryBound(to: Float.self))
        }
      }
      try withContiguous(outputs[0]) { dx in
        guard outputs.count > 2 else { return try run(dx, nil, nil) }
        try withContiguous(outputs[1]) { dweight in
          try withContiguous(outputs[2]) { dbias in try run(dx, dweight, dbias) }
        }
      }
    }
  }
}

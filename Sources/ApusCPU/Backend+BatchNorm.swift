import ApusDevice
import CVector

extension CPUBackend {
  func batchNorm(_ norm: BatchNormalization, _ inputs: [Operand], _ outputs: [Operand]) throws {
    guard inputs[0].count > 0 else {
      return try compose(Command(.batchNorm(norm), inputs: inputs, outputs: outputs))
    }
    var sizes = apus_norm(norm, shape: inputs[0].shape)
    let operands = NormOperands(norm, inputs, after: 1, tracks: norm.tracksStatistics)
    try readingImages([inputs[0]] + operands.addend) { images in
      try reading(operands.affine + operands.running) { vectors in
        try withImage(outputs[0]) { y in
          try withVectors(Array(outputs[1...])) { statistics in
            try withScratch(apus_norm_scratch(&sizes)) {
              guard let scratch = $0?.assumingMemoryBound(to: Double.self) else { return }
              let running = norm.isAffine ? 2 : 0
              func vector(_ index: Int, _ exists: Bool) throws -> UnsafeMutablePointer<Float>? {
                exists ? try floats(vectors[index]) : nil
              }
              apus_batch_norm(
                &sizes, try floats(images[0]), try vector(0, norm.isAffine),
                try vector(1, norm.isAffine), try vector(running, norm.tracksStatistics),
                try vector(running + 1, norm.tracksStatistics),
                images.count > 1 ? try floats(images[1]) : nil, try floats(y),
                try floats(statistics[0]), try floats(statistics[1]),
                norm.tracksStatistics ? try floats(statistics[2]) : nil,
                norm.tracksStatistics ? try floats(statistics[3]) : nil, scratch)
            }
          }
        }
      }
    }
  }

  func batchNormBackward(
    _ norm: BatchNormalization, _ inputs: [Operand], _ outputs: [Operand]
  ) throws {
    guard inputs[0].count > 0 else {
      return try compose(Command(.batchNormBackward(norm), inputs: inputs, outputs: outputs))
    }
    var sizes = apus_norm(norm, shape: inputs[0].shape)
    // Without an activation `y` is not read.
    let y = norm.activation == nil || norm.activation?.saved == .nothing ? inputs[4] : inputs[1]
    try readingImages([inputs[0], y, inputs[4]]) { images in
      try reading([inputs[2], inputs[3]] + inputs.dropFirst(5)) { vectors in
        try withImage(outputs[0]) { dx in
          try withVectors(norm.isAffine ? Array(outputs[1...2]) : []) { gradients in
            func run(_ daddend: Operand?) throws {
              try withScratch(apus_norm_scratch(&sizes)) {
                guard let scratch = $0?.assumingMemoryBound(to: Double.self) else { return }
                apus_batch_norm_backward(
                  &sizes, try floats(images[0]), try floats(images[1]), try floats(vectors[0]),
                  try floats(vectors[1]), try floats(images[2]),
                  norm.isAffine ? try floats(vectors[2]) : nil, try floats(dx),
                  norm.isAffine ? try floats(gradients[0]) : nil,
                  norm.isAffine ? try floats(gradients[1]) : nil,
                  try daddend.map { try floats($0) }, scratch)
              }
            }
            guard norm.hasAddend else { return try run(nil) }
            try withImage(outputs[outputs.count - 1]) { try run($0) }
          }
        }
      }
    }
  }

  func batchNormInference(_ norm: BatchNormalization, _ inputs: [Operand], _ y: Operand) throws {
    guard y.count > 0 else { return }
    var sizes = apus_norm(norm, shape: inputs[0].shape)
    let operands = NormOperands(norm, inputs, after: 3, tracks: false)
    try readingImages([inputs[0]] + operands.addend) { images in
      try reading([inputs[1], inputs[2]] + operands.affine) { vectors in
        try withImage(y) { y in
          try withScratch(apus_norm_scratch(&sizes)) {
            guard let scratch = $0?.assumingMemoryBound(to: Double.self) else { return }
            apus_batch_norm_inference(
              &sizes, try floats(images[0]), try floats(vectors[0]), try floats(vectors[1]),
              norm.isAffine ? try floats(vectors[2]) : nil,
              norm.isAffine ? try floats(vectors[3]) : nil,
              images.count > 1 ? try floats(images[1]) : nil, try floats(y), scratch)
          }
        }
      }
    }
  }

  /// `body` on the vectors or, where one has gaps, on temporaries that are then copied.
  private func withVectors(_ outputs: [Operand], _ body: ([Operand]) throws -> Void) throws {
    let dense = try outputs.map {
      $0.layout.isContiguous ? $0 : try temporary($0.shape, $0.dtype)
    }
    try withExtendedLifetime(dense) {
      try body(dense)
      for (dense, out) in zip(dense, outputs) where !out.layout.isContiguous {
        try move(dense, out)
      }
    }
  }
}

/// The optional operands of a normalisation, in their order.
private struct NormOperands {
  var affine: [Operand] = []
  var running: [Operand] = []
  var addend: [Operand] = []

  init(_ norm: BatchNormalization, _ inputs: [Operand], after: Int, tracks: Bool) {
    var rest = inputs[after...]
    if norm.isAffine { affine = [rest.removeFirst(), rest.removeFirst()] }
    if tracks { running = [rest.removeFirst(), rest.removeFirst()] }
    if norm.hasAddend { addend = Array(rest.prefix(1)) }
  }
}

extension apus_norm {
  fileprivate init(_ norm: BatchNormalization, shape: [Int]) {
    let code = norm.activation?.code
    self.init(
      rows: shape[0] * shape[2] * shape[3], channels: shape[1], epsilon: norm.epsilon,
      momentum: norm.momentum, activation: code.map { Int32($0.0.rawValue) } ?? -1,
      parameters: code?.1 ?? apus_parameters())
  }
}

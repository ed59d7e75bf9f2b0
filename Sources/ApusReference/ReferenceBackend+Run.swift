import ApusDevice

extension ReferenceBackend {
  /// Runs one primitive: all inputs are read before the output is written.
  func run(_ command: Command) throws {
    let inputs = command.inputs
    let outputs = command.outputs
    switch command.operation {
    case .fill(let value):
      try write([Double](repeating: value, count: outputs[0].count), to: outputs[0])
    case .copy:
      if inputs[0].dtype == outputs[0].dtype { return try moveBits(inputs[0], to: outputs[0]) }
      try write(try read(inputs[0]), to: outputs[0])
    case .unary(let op):
      try require(inputs[0].dtype, in: op.types, "\(op)")
      let function = op.function(inputs[0].dtype)
      try write(try read(inputs[0]).map(function), to: outputs[0])
    case .unaryBackward(let op):
      try require(inputs[1].dtype, in: DType.arithmetic, "\(op) backward")
      let derivative = op.derivative
      // What is not read may hold anything.
      let saved = op.saved == .nothing ? inputs[1] : inputs[0]
      try write(
        zip(try read(saved), try read(inputs[1])).map { derivative($0, $1) }, to: outputs[0])
    case .binary(let op):
      try require(inputs[0].dtype, in: op.types, "\(op)")
      let function = op.function(inputs[0].dtype)
      try write(zip(try read(inputs[0]), try read(inputs[1])).map(function), to: outputs[0])
    case .scalar(let op, let value, let reversed):
      try require(inputs[0].dtype, in: op.types.subtracting([.bool]), "scalar \(op)")
      let function = op.function(inputs[0].dtype)
      let scalar = rounded(value, to: inputs[0].dtype)
      try write(
        try read(inputs[0]).map { reversed ? function(scalar, $0) : function($0, scalar) },
        to: outputs[0])
    case .compare(let op):
      try write(
        zip(try read(inputs[0]), try read(inputs[1])).map { op.holds($0, $1) ? 1 : 0 },
        to: outputs[0])
    case .ternary(let op): try ternary(op, inputs, outputs[0])
    case .reduce(let op, let axes): try reduce(op, axes, inputs[0], outputs[0])
    case .argReduce(let op, let axis): try argReduce(op, axis, inputs[0], outputs[0])
    case .gemm: try gemm(inputs[0], inputs[1], outputs[0])
    case .take(let axis): try take(axis, inputs[0], inputs[1], outputs[0])
    case .indexAdd(let axis): try indexAdd(axis, inputs, outputs[0])
    case .gather(let axis): try gather(axis, inputs[0], inputs[1], outputs[0])
    case .scatterAdd(let axis): try scatterAdd(axis, inputs, outputs[0])
    case .cumulativeSum(let axis): try cumulativeSum(axis, inputs[0], outputs[0])
    case .sort(let axis, let descending):
      try sort(axis, descending, inputs[0], outputs[0], outputs[1])
    case .topK(_, let axis, let largest): try sort(axis, largest, inputs[0], outputs[0], outputs[1])
    case .random(let distribution, let key): try random(distribution, key, outputs[0])
    default: try compose(command)
    }
  }

  func require(_ dtype: DType, in types: Set<DType>, _ operation: String) throws {
    guard types.contains(dtype) else {
      let names = types.map(\.description).sorted().joined(separator: ", ")
      throw ApusError(
        .dtype, operation: operation, "takes \(names), not \(dtype); convert it first")
    }
  }

  private func ternary(_ op: TernaryOp, _ inputs: [Operand], _ out: Operand) throws {
    let (a, b, c) = (try read(inputs[0]), try read(inputs[1]), try read(inputs[2]))
    if op != .select { try require(inputs[0].dtype, in: DType.arithmetic, "\(op)") }
    try write(
      a.indices.map { i in
        switch op {
        case .select: a[i] != 0 ? b[i] : c[i]
        case .multiplyAdd: a[i] * b[i] + c[i]
        case .lerp: a[i] + (b[i] - a[i]) * c[i]
        }
      }, to: out)
  }

  private func random(
    _ distribution: RandomDistribution, _ key: RandomKey, _ out: Operand
  ) throws {
    let values = (0..<out.count).map { i -> Double in
      let block = Philox.block(key: key.value, counter: UInt64(i / 4))
      let draw = Philox.uniform(block[i % 4])
      switch distribution {
      case .uniform(let low, let high):
        // In `Float`, for every device gives these bits; rounding may reach the excluded end.
        let value = low + (high - low) * draw
        return Double(value >= high && high > low ? high.nextDown : value)
      case .normal(let mean, let deviation):
        return Double(mean) + Double(deviation) * Philox.normal(block)[i % 4]
      case .bernoulli(let probability): return draw < probability ? 1 : 0
      }
    }
    try write(values, to: out)
  }
}

/// The value as the type holds it.
func rounded(_ value: Double, to dtype: DType) -> Double {
  switch dtype {
  case .float32: Double(Float(value))
  case .int32: Double(saturated(value) as Int32)
  default: value
  }
}

extension DType {
  /// The types of arithmetic.
  static let arithmetic: Set<DType> = [.float32, .float64]
}

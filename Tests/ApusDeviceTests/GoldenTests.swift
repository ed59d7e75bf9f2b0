import ApusDevice
import ApusReference
import Foundation
import Testing

/// The reference device against values that NumPy and PyTorch computed in float64
/// (`Golden/make_golden.py`).
@Suite struct GoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let inputs: [Tensor]
    let outputs: [Tensor]
    var testDescription: String { name }
  }

  struct Tensor: Decodable, Sendable {
    let shape: [Int]
    let dtype: DType
    let values: [Double]

    enum Keys: CodingKey { case shape, dtype, values }

    /// A number that JSON cannot express comes as text.
    private struct Number: Decodable {
      let value: Double
      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
          value = text == "nan" ? .nan : text == "inf" ? .infinity : -.infinity
        } else {
          value = try container.decode(Double.self)
        }
      }
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Keys.self)
      shape = try container.decode([Int].self, forKey: .shape)
      let name = try container.decode(String.self, forKey: .dtype)
      dtype = try #require(DType.allCases.first { $0.description == name })
      values = try container.decode([Number].self, forKey: .values).map(\.value)
    }
  }

  static let cases: [Case] = {
    guard let url = Bundle.module.url(forResource: "Golden/primitives", withExtension: "json"),
      let data = try? Data(contentsOf: url),
      let cases = try? JSONDecoder().decode([Case].self, from: data)
    else { return [] }
    return cases
  }()

  @Test func everyNameIsKnown() {
    let names = Set(Self.cases.map(\.name))
    #expect(names.subtracting(operations.keys) == [])
    #expect(Set(operations.keys).subtracting(names) == [])
  }

  @Test(arguments: cases)
  func agrees(golden: Case) throws {
    let operation = try #require(operations[golden.name])
    let device = ReferenceBackend()
    let inputs = try golden.inputs.map { try upload($0.values, $0.shape, $0.dtype, to: device) }
    // Fused operations round between their primitives, at numbers of the order of 1.
    let isFused = operation.isFused
    let outputs = try golden.outputs.map {
      try device.temporary($0.shape, $0.dtype == .float64 && !golden.isCast ? .float32 : $0.dtype)
    }
    try device.enqueue(operation, inputs, outputs)
    for (i, output) in outputs.enumerated() {
      let got = try download(output, from: device)
      for (a, b) in zip(got, golden.outputs[i].values) where !(a.isNaN && b.isNaN) && a != b {
        let error = abs(a - b) / (isFused ? 1 + abs(b) : abs(b))
        #expect(error <= (isFused ? 1e-6 : 0x1p-23), "output \(i): \(a), not \(b)")
      }
    }
  }

  /// Every type does its arithmetic in its own width.
  @Test func float64KeepsItsDigits() throws {
    let device = ReferenceBackend()
    let x = try upload([1 / 3, 2 / 3, 1e300], [3], .float64, to: device)
    let y = try device.temporary([3], .float64)
    try device.enqueue(.binary(.add), [x, x], [y])
    #expect(try download(y, from: device) == [2 / 3, 4 / 3, 2e300])
    try device.enqueue(.unary(.exp), [x], [y])
    #expect(try download(y, from: device) == [exp(1 / 3.0), exp(2 / 3.0), .infinity])
  }

  @Test func typesWithoutArithmeticAreRefused() throws {
    let device = ReferenceBackend()
    for dtype in [DType.float16, .bfloat16, .uint8, .bool] {
      let x = try device.temporary([3], dtype)
      #expect(throws: ApusError.self) { try device.enqueue(.binary(.add), [x, x], [x]) }
      #expect(throws: ApusError.self) { try device.enqueue(.unary(.exp), [x], [x]) }
    }
  }
}

extension GoldenTests.Case {
  var isCast: Bool { name.hasPrefix("copy") }
}

private let functions: [String: UnaryOp] = [
  "negate": .negate, "abs": .abs, "sign": .sign, "square": .square, "exp": .exp, "expm1": .expm1,
  "log": .log, "log1p": .log1p, "sqrt": .sqrt, "rsqrt": .rsqrt, "reciprocal": .reciprocal,
  "sin": .sin, "cos": .cos, "tanh": .tanh, "erf": .erf, "floor": .floor, "ceil": .ceil,
  "round": .round, "sigmoid": .sigmoid, "relu": .relu, "silu": .silu,
  "leakyReLU": .leakyReLU(slope: 0.1), "elu": .elu(alpha: 0.75), "gelu": .gelu,
  "geluTanh": .geluTanh, "softplus": .softplus(beta: 1.5, threshold: 4),
  "clamp": .clamp(min: -1, max: 0.5),
]

private let operations: [String: ApusDevice.Operation] = {
  var table: [String: ApusDevice.Operation] = [
    "unary logicalNot": .unary(.logicalNot), "unary isNaN": .unary(.isNaN),
    "unary isFinite": .unary(.isFinite), "binary NaN maximum": .binary(.maximum),
    "binary NaN minimum": .binary(.minimum), "reduce int32 sum": .reduce(.sum, axes: [1]),
    "gemm": .gemm, "take 0": .take(axis: 0), "take 1": .take(axis: 1),
    "indexAdd 0": .indexAdd(axis: 0), "gather 1": .gather(axis: 1),
    "scatterAdd 1": .scatterAdd(axis: 1), "cumulativeSum 0": .cumulativeSum(axis: 0),
    "cumulativeSum 1": .cumulativeSum(axis: 1),
    "sort ascending": .sort(axis: 0, descending: false),
    "sort descending": .sort(axis: 0, descending: true),
    "topK largest": .topK(k: 4, axis: 0, largest: true),
    "topK smallest": .topK(k: 4, axis: 0, largest: false),
    "linear": .linear(activation: .tanh), "softmax": .softmax, "logSoftmax": .logSoftmax,
    "softmaxBackward": .softmaxBackward, "logSoftmaxBackward": .logSoftmaxBackward,
    "crossEntropy": .crossEntropy(labelSmoothing: 0.1, ignoreIndex: -100),
    "layerNorm": .layerNorm(epsilon: 1e-5), "layerNormBackward": .layerNormBackward,
    "sumOfSquares": .sumOfSquares,
  ]
  for (name, op) in functions {
    table["unary \(name)"] = .unary(op)
    table["unaryBackward \(name)"] = .unaryBackward(op)
  }
  for op in BinaryOp.allCases {
    table["binary \(op)"] = .binary(op)
    guard op.rawValue < BinaryOp.logicalAnd.rawValue else { continue }
    table["scalar \(op)"] = .scalar(op, 1.5, reversed: false)
    table["scalar reversed \(op)"] = .scalar(op, 1.5, reversed: true)
  }
  for op in [BinaryOp.add, .subtract, .multiply, .maximum, .minimum] {
    table["binary int32 \(op)"] = .binary(op)
  }
  for op in ComparisonOp.allCases { table["compare \(op)"] = .compare(op) }
  for op in TernaryOp.allCases { table["ternary \(op)"] = .ternary(op) }
  for dtype in DType.allCases where dtype != .float32 { table["copy to \(dtype)"] = .copy }
  for op in ReduceOp.allCases {
    for axes in [[0], [1], [2], [0, 2], [0, 1, 2]] {
      table["reduce \(op) \(axes)"] = .reduce(op, axes: axes)
    }
  }
  for op in ArgReduceOp.allCases { table["argReduce \(op)"] = .argReduce(op, axis: 1) }
  let key = RandomKey(0x1234_5678_9ABC_DEF0)
  table["random uniform"] = .random(.uniform(low: 0, high: 1), key)
  table["random normal"] = .random(.normal(mean: 0.5, standardDeviation: 2), key)
  table["random bernoulli"] = .random(.bernoulli(probability: 0.3), key)

  func step(_ name: String, _ rule: OptimizerStep.Rule, _ decay: Float) {
    table["optimizerStep \(name)"] = .optimizerStep(
      OptimizerStep(rule: rule, learningRate: 0.05, weightDecay: decay, hasGradientScale: false))
  }
  func adam(_ decoupled: Bool) -> OptimizerStep.Rule {
    .adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-8, correction1: Float(1 - pow(0.9, 3)),
      correction2: Float(1 - pow(0.999, 3)), decoupled: decoupled)
  }
  step("sgd", .sgd(momentum: 0.9, dampening: 0.1, nesterov: false, isFirst: false), 0.01)
  step("sgd nesterov", .sgd(momentum: 0.9, dampening: 0, nesterov: true, isFirst: false), 0)
  step("adam", adam(false), 0.01)
  step("adamw", adam(true), 0.01)
  step("rmsprop", .rmsprop(alpha: 0.99, epsilon: 1e-8, momentum: 0.9, centered: true), 0)
  step("adagrad", .adagrad(epsilon: 1e-10), 0)
  return table
}()

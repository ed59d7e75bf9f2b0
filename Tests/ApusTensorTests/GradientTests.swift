import Apus
import TestSupport
import Testing

/// Gradients of every operation against central differences in Double on the reference device.
struct GradientTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let shapes: [[Int]]
    /// Inputs are drawn from this range, away from kinks and poles.
    let range: ClosedRange<Double>
    let body: @Sendable ([Tensor]) throws -> Tensor
    var testDescription: String { name }

    init(
      _ name: String, _ shapes: [[Int]], _ range: ClosedRange<Double> = -2...2,
      _ body: @escaping @Sendable ([Tensor]) throws -> Tensor
    ) {
      self.name = name
      self.shapes = shapes
      self.range = range
      self.body = body
    }
  }

  static let functions: [(String, UnaryOp, ClosedRange<Double>)] = [
    ("negate", .negate, -2...2), ("abs", .abs, 0.1...2), ("square", .square, -2...2),
    ("exp", .exp, -2...2), ("expm1", .expm1, -2...2), ("log", .log, 0.2...3),
    ("log1p", .log1p, -0.5...3), ("sqrt", .sqrt, 0.2...3), ("rsqrt", .rsqrt, 0.2...3),
    ("reciprocal", .reciprocal, 0.3...3), ("sin", .sin, -3...3), ("cos", .cos, -3...3),
    ("tanh", .tanh, -2...2), ("erf", .erf, -2...2), ("sigmoid", .sigmoid, -3...3),
    ("relu", .relu, 0.1...2), ("relu below", .relu, -2 ... -0.1), ("silu", .silu, -3...3),
    ("leakyReLU", .leakyReLU(slope: 0.1), -2 ... -0.1), ("elu", .elu(alpha: 0.5), -2 ... -0.1),
    ("gelu", .gelu, -2...2), ("geluTanh", .geluTanh, -2...2),
    ("softplus", .softplus(beta: 1.5, threshold: 20), -2...2),
    ("clamp", .clamp(min: -0.5, max: 3), 0...2),
  ]

  static let unary: [Case] = functions.map { name, op, range in
    Case(name, [[2, 3]], range) { try $0[0].unary(op) }
  }

  static let binary: [Case] = [
    Case("add", [[2, 3], [3]]) { try $0[0] + $0[1] },
    Case("subtract", [[2, 1], [2, 3]]) { try $0[0] - $0[1] },
    Case("multiply", [[2, 1, 3], [4, 1]]) { try $0[0] * $0[1] },
    Case("divide", [[2, 3], []], 0.5...2) { try $0[0] / $0[1] },
    Case("power", [[2, 3], [2, 3]], 0.5...2) { try $0[0].power($0[1]) },
    Case("atan2", [[2, 3], [3]], 0.5...2) { try $0[0].atan2($0[1]) },
    Case("maximum", [[5], [5]]) { try $0[0].maximum($0[1]) },
    Case("minimum", [[5], [5]]) { try $0[0].minimum($0[1]) },
    Case("remainder", [[4], [4]], 1.1...1.4) { try ($0[0] * 3).remainder($0[1] * 2) },
    Case("scalar arithmetic", [[4]], 0.5...2) { x in
      try 2 / (3 - x[0] * 0.5) + (x[0] - 1) / 4 + x[0].power(2.5) + 1
    },
    Case("scalar maximum", [[4]], 0.5...2) { try $0[0].maximum(0.1) + $0[0].minimum(0.2) },
    Case("select", [[2, 3], [3]]) { x in
      let flags = try Tensor([true, false, true], on: x[0].device)
      return try Tensor.select(where: flags, x[0], x[1])
    },
    Case("a value used twice", [[3]]) { x in try x[0] * x[0] + x[0].exp() * x[0] },
  ]

  static let reductions: [Case] = [
    Case("sum", [[2, 3, 4]]) { try $0[0].sum(axes: [0, 2]) },
    Case("sum kept", [[2, 3]]) { try $0[0].sum(axis: 1, keepDims: true) * $0[0] },
    Case("mean", [[2, 3, 4]]) { try $0[0].mean(axis: 1) },
    Case("mean of all", [[2, 3]]) { try $0[0].mean() },
    Case("max", [[3, 4]]) { try $0[0].max(axis: 1) },
    Case("min", [[3, 4]]) { try $0[0].min() },
    Case("variance", [[3, 4]]) { try $0[0].variance(axes: [1]) },
    Case("standard deviation", [[3, 4]]) { try $0[0].standardDeviation(axes: [0], correction: 0) },
    Case("log-sum-exp", [[3, 4]]) { try $0[0].logSumExp(axis: 0) },
    Case("cumulativeSum", [[3, 4]]) { try $0[0].cumulativeSum(axis: 1) },
    Case("sorted", [[3, 4]]) { try $0[0].sorted(axis: 0, descending: true).values },
    Case("topK", [[3, 4]]) { try $0[0].topK(2).values },
  ]

  static let shapes: [Case] = [
    Case("reshaped", [[2, 6]]) { try $0[0].reshaped(3, -1).transposed().reshaped(12) },
    Case("permuted", [[2, 3, 4]]) { try $0[0].permuted([2, 0, 1]) },
    Case("broadcast", [[3, 1]]) { try $0[0].broadcast(to: [2, 3, 4]) },
    Case("squeezed", [[1, 3, 1]]) { try $0[0].squeezed().unsqueezed(axis: 0) },
    Case("concatenated", [[2, 3], [2, 1]]) { try Tensor.concatenated($0, axis: 1) },
    Case("stacked", [[2, 3], [2, 3]]) { try Tensor.stacked($0, axis: 1) },
    Case("split", [[5, 2]]) { x in
      let parts = try x[0].split([2, 0, 3])
      return try parts[0].sum() * parts[2]
    },
    Case("padded", [[2, 3]]) { try $0[0].padded([(1, 0), (2, 1)], value: 7) },
    Case("slice", [[5, 4]]) { try $0[0].slice(axis: 0, start: 1, step: 2)[0..., -1] },
    Case("flipped", [[3, 4]]) { try $0[0].flipped(axis: 0) },
    Case("contiguous", [[3, 2]]) { try $0[0].transposed().contiguous() },
    Case("take", [[4, 3]]) { x in
      try x[0].take(try Tensor([Int32(2), 0, 2, 3], shape: [2, 2], on: x[0].device))
    },
    Case("indexAdd", [[4, 2], [3, 2]]) { x in
      try x[0].indexAdd(try Tensor([Int32(1), 1, 3], on: x[0].device), x[1])
    },
    Case("gather", [[3, 2]]) { x in
      try x[0].gather(try Tensor([Int32(2), 0, 1, 1], shape: [2, 2], on: x[0].device), axis: 0)
    },
    Case("scatterAdd", [[3, 2], [2, 2]]) { x in
      try x[0].scatterAdd(
        try Tensor([Int32(2), 0, 2, 1], shape: [2, 2], on: x[0].device), x[1], axis: 0)
    },
  ]

  static let products: [Case] = [
    Case("matmul", [[3, 4], [4, 2]]) { try $0[0].matmul($0[1]) },
    Case("matmul of vectors", [[4], [4]]) { try $0[0].matmul($0[1]) },
    Case("matmul of a batch", [[2, 1, 3, 4], [3, 4, 2]]) { try $0[0].matmul($0[1]) },
    Case("matmul of rows", [[2, 3, 4], [4, 2]]) { try $0[0].matmul($0[1]) },
    Case("matmul transposed", [[4, 3], [2, 4]]) {
      try $0[0].transposed().matmul($0[1].transposed())
    },
  ]

  static let all = unary + binary + reductions + shapes + products + images

  @Test(arguments: all)
  func agreesWithDifferences(_ c: Case) throws {
    let device = TestDevices.reference
    let inputs = try c.shapes.enumerated().map { index, shape in
      try Self.input(shape, index, c.range, device).scalars().map(Double.init)
    }
    func value(_ data: [[Double]]) throws -> Tensor {
      try c.body(try zip(data, c.shapes).map { try Tensor($0, shape: $1, on: device) })
    }
    // A random direction of the output makes one number of it.
    let direction = try Tensor.normal(try value(inputs).shape, key: RandomKey(77), on: device)
      .to(.float64)
    func projected(_ data: [[Double]]) throws -> Double {
      try (value(data) * direction).sum().item()
    }
    let tape = Tape()
    let watched = try zip(inputs, c.shapes).map {
      try tape.watch(try Tensor($0, shape: $1, on: device))
    }
    let gradients = try tape.gradients(of: try c.body(watched), for: watched, seed: direction)
    let step = 1e-5
    for input in inputs.indices {
      let gradient = try gradients[input].scalars(as: Double.self)
      #expect(gradients[input].shape == c.shapes[input])
      for element in inputs[input].indices {
        var shifted = inputs
        shifted[input][element] += step
        let above = try projected(shifted)
        shifted[input][element] -= 2 * step
        let difference = (above - (try projected(shifted))) / (2 * step)
        #expect(
          abs(gradient[element] - difference) < 1e-5 * (1 + abs(difference)),
          "input \(input), element \(element): \(gradient[element]) against \(difference)")
      }
    }
  }

  /// The same bodies in float32 on every device, against the reference device.
  @Test(arguments: all, TestDevices.fast)
  func agreesAcrossDevices(_ c: Case, on device: Device) throws {
    func run(_ device: Device) throws -> (Tensor, [Tensor]) {
      let tape = Tape()
      let watched = try c.shapes.enumerated().map { index, shape in
        try tape.watch(try Self.input(shape, index, c.range, device))
      }
      let y = try c.body(watched)
      let seed = try Tensor.normal(y.shape, key: RandomKey(77), on: device)
      return (y, try tape.gradients(of: y, for: watched, seed: seed))
    }
    let (y, gradients) = try run(device)
    let (expected, expectedGradients) = try run(TestDevices.reference)
    #expect(try distance(y, expected) < 1e-5)
    for (gradient, wanted) in zip(gradients, expectedGradients) {
      #expect(try distance(gradient, wanted) < 1e-4)
    }
  }

  private static func input(
    _ shape: [Int], _ index: Int, _ range: ClosedRange<Double>, _ device: Device
  ) throws -> Tensor {
    try Tensor.uniform(
      shape, low: Float(range.lowerBound), high: Float(range.upperBound),
      key: RandomKey(UInt64(index) + 11), on: device)
  }
}

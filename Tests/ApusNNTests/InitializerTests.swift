import Apus
import Foundation
import TestSupport
import Testing

/// Distributions of initialisers against PyTorch's.
struct InitializerTests {
  struct Moments: Decodable, Sendable {
    let shape: [Int]
    let mean, deviation, minimum, maximum: Double
  }

  static let initializers: [(String, Initializer)] = [
    ("xavierUniform", .xavierUniform(gain: 1.5)), ("xavierNormal", .xavierNormal()),
    ("kaimingUniform", .kaimingUniform(nonlinearity: .relu)),
    ("kaimingUniformFanOut", .kaimingUniform(a: 0.3, mode: .fanOut)),
    ("kaimingNormal", .kaimingNormal(nonlinearity: .relu)), ("orthogonal", .orthogonal(gain: 2)),
    ("uniform", .uniform(low: -0.5, high: 0.25)),
    ("normal", .normal(mean: 0.3, standardDeviation: 0.7)), ("convolution", .xavierUniform()),
  ]

  @Test func distributionsAgree() throws {
    let expected: [String: Moments] = try golden("initializers", in: .module)
    for (name, initializer) in Self.initializers {
      let wanted = try #require(expected[name])
      try compare(try initializer.values(wanted.shape, key: RandomKey(5)), wanted, name)
    }
    let wanted = try #require(expected["linearDefault"])
    let linear = try Linear(
      wanted.shape[1], wanted.shape[0], key: RandomKey(6), on: TestDevices.reference)
    try compare(try linear.weight.value.scalars(), wanted, "linearDefault")
    let bound = Float(wanted.maximum) * 1.01
    let bias = try #require(linear.bias).value.scalars()
    #expect(bias.allSatisfy { abs($0) <= bound } && bias.contains { abs($0) > bound / 2 })
  }

  private func compare(_ values: [Float], _ wanted: Moments, _ name: String) throws {
    let count = Double(values.count)
    let mean = values.reduce(0) { $0 + Double($1) } / count
    let variance = values.reduce(0) { $0 + pow(Double($1) - mean, 2) } / count
    // Five standard errors of the mean, and 2 % of the spread.
    #expect(abs(mean - wanted.mean) < 10 * wanted.deviation / count.squareRoot(), "\(name)")
    #expect(abs(variance.squareRoot() / wanted.deviation - 1) < 0.02, "\(name)")
    if name.lowercased().contains("uniform") || name == "convolution" {
      let span = wanted.maximum - wanted.minimum
      #expect(abs(Double(values.max() ?? 0) - wanted.maximum) < 0.01 * span, "\(name)")
      #expect(abs(Double(values.min() ?? 0) - wanted.minimum) < 0.01 * span, "\(name)")
    }
  }

  @Test(arguments: [[4, 9], [9, 4], [5, 5], [6, 2, 3]])
  func orthogonalIsOrthonormal(_ shape: [Int]) throws {
    let device = TestDevices.reference
    let matrix = try Initializer.orthogonal().tensor(shape, key: RandomKey(3), on: device)
      .reshaped([shape[0], -1])
    let wide = matrix.shape[0] <= matrix.shape[1]
    let product =
      wide ? try matrix.matmul(matrix.transposed()) : try matrix.transposed().matmul(matrix)
    #expect(try distance(product, try Tensor.eye(product.shape[0], on: device)) < 1e-6)
  }

  @Test func needsFans() {
    #expect(throws: ApusError.self) {
      try Initializer.xavierUniform().values([5], key: RandomKey(1))
    }
  }
}

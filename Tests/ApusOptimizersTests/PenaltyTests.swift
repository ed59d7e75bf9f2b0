import Apus
import TestSupport
import Testing

/// L1 penalty and limited norms against PyTorch.
struct PenaltyTests {
  struct Case: Decodable, Sendable {
    let lambda, limit: Float?
    let shapes: [[Int]]
    let start: [[Float]]
    let gradients: [[[Float]]]
    let trajectory: [[[Double]]]
  }

  static func cases() throws -> [Case] {
    try golden("penalties", in: .module, as: [Case].self)
  }

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ c: Case, on device: Device) throws {
    let parameters = try zip(c.start, c.shapes).map {
      Parameter(try Tensor($0, shape: $1, on: device))
    }
    let optimizer = try SGD(parameters, learningRate: 0.1, momentum: 0.9)
    for (step, values) in c.gradients.enumerated() {
      var gradients = try zip(values, c.shapes).map { try Tensor($0, shape: $1, on: device) }
      if let lambda = c.lambda {
        gradients = try L1Penalty(lambda).added(to: gradients, of: parameters)
      }
      try optimizer.step(gradients)
      if let limit = c.limit { try MaxNorm(limit).apply(to: parameters) }
      for (parameter, expected) in zip(parameters, c.trajectory[step]) {
        // Some roundings a step, and a norm of a few elements.
        #expect(distance(try parameter.value.scalars(), expected) < 3e-6, "step \(step)")
      }
    }
  }

  @Test func frozenWeightsAndVectorsStay() throws {
    for device in TestDevices.all {
      let frozen = Parameter(try Tensor.full([2, 2], 9, on: device), isTrainable: false)
      let bias = Parameter(try Tensor.full([3], 9, on: device))
      let weight = Parameter(try Tensor.full([2, 4], 9, on: device))
      try MaxNorm(1).apply(to: [frozen, bias, weight])
      #expect(try frozen.value.scalars() == [9, 9, 9, 9] && bias.value.scalars() == [9, 9, 9])
      #expect(distance(try weight.value.scalars(), [Double](repeating: 0.5, count: 8)) < 1e-6)
      let gradients = try [frozen, bias, weight].map { try Tensor.zeros($0.shape, on: device) }
      let added = try L1Penalty(0.5).added(to: gradients, of: [frozen, bias, weight])
      #expect(try added.map { try $0.scalars().max() ?? 0 } == [0, 0, 0.5])
    }
  }

  @Test func valuesAreChecked() throws {
    for value in [-1, Float.nan, .infinity] {
      #expect(throws: ApusError.self) { try L1Penalty(value) }
      #expect(throws: ApusError.self) { try MaxNorm(value) }
    }
    #expect(throws: ApusError.self) { try MaxNorm(0) }
    let parameter = Parameter(try Tensor.ones([2, 2], on: TestDevices.reference))
    #expect(throws: ApusError.self) { try L1Penalty(1).added(to: [], of: [parameter]) }
  }
}

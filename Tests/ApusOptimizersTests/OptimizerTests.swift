import Apus
import TestSupport
import Testing

struct OptimizerTests {
  private let device = TestDevices.reference

  @Test func checksArguments() throws {
    let p = Parameter(try Tensor.ones([2], on: device))
    #expect(throws: ApusError.self) { try Adam([]) }
    #expect(throws: ApusError.self) { try Adam([p, p]) }
    #expect(throws: ApusError.self) { try Adam([p], learningRate: -1) }
    #expect(throws: ApusError.self) { try Adam([p], betas: (1, 0.9)) }
    #expect(throws: ApusError.self) { try SGD([p], nesterov: true) }
    #expect(throws: ApusError.self) { try SGD([p], clipping: .norm(0)) }
    #expect(throws: ApusError.self) {
      try Adam([Parameter(try Tensor.ones([2], dtype: .int32, on: device))])
    }
  }

  @Test func illShapedGradientsChangeNothing() throws {
    let p = Parameter(try Tensor.ones([2], on: device))
    let optimizer = try SGD([p], learningRate: 1)
    #expect(throws: ApusError.self) { try optimizer.step([]) }
    #expect(throws: ApusError.self) { try optimizer.step([try Tensor.ones([3], on: device)]) }
    #expect(try p.value.scalars() == [1, 1])
    #expect(optimizer.stepCount == 0)
  }

  /// Updates are in place only where nobody looks.
  @Test func tensorsTakenEarlierKeepTheirContents() throws {
    for device in TestDevices.all {
      let p = Parameter(try Tensor([Float(1), 2], on: device))
      let optimizer = try Adam([p], learningRate: 0.5)
      let before = p.value
      try optimizer.step([try Tensor.ones([2], on: device)])
      #expect(try before.scalars() == [1, 2])
      #expect(distance(try p.value.scalars(), [0.5, 1.5]) < 1e-5)
    }
  }

  @Test func clippingByNormReportsTheNorm() throws {
    for device in TestDevices.all {
      let gradients = [
        try Tensor([Float(3), 0], on: device), try Tensor([Float(4)], on: device),
      ]
      let (clipped, norm) = try GradientClipping.norm(1).apply(to: gradients)
      #expect(distance([Float(try norm.item())], [5]) < 1e-6)
      #expect(distance(try clipped[0].scalars(), [0.6, 0]) < 1e-6)
      #expect(distance(try clipped[1].scalars(), [0.8]) < 1e-6)
    }
  }

  @Test func stateOfOtherParametersIsRefused() throws {
    let p = Parameter(try Tensor.ones([2], on: device))
    let optimizer = try Adam([p])
    try optimizer.step([try Tensor.ones([2], on: device)])
    let other = try Adam([Parameter(try Tensor.ones([3], on: device))])
    #expect(throws: ApusError.self) { try other.load(optimizer.state()) }
  }
}

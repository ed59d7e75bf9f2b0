import Apus
import Foundation
import TestSupport
import Testing

/// Ten steps of every optimizer against PyTorch's.
struct OptimizerGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name, optimizer: String
    let options: [String: Float]
    let shapes: [[Int]]
    let start: [[Float]]
    let gradients: [[[Float]]]
    let trajectory: [[[Double]]]
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] { try golden("optimizers", in: .module) }

  private func make(_ c: Case, _ parameters: [Parameter]) throws -> any Optimizer {
    let o = c.options
    let clipping: GradientClipping =
      o["clipNorm"].map { .norm($0) } ?? o["clipValue"].map { .value($0) } ?? .none
    let betas = (o["beta1"] ?? 0.9, o["beta2"] ?? 0.999)
    switch c.optimizer {
    case "sgd":
      return try SGD(
        parameters, learningRate: o["learningRate"] ?? 1e-3, momentum: o["momentum"] ?? 0,
        dampening: o["dampening"] ?? 0, weightDecay: o["weightDecay"] ?? 0,
        nesterov: o["nesterov"] != nil, clipping: clipping)
    case "adam":
      return try Adam(
        parameters, learningRate: o["learningRate"] ?? 1e-3, betas: betas,
        epsilon: o["epsilon"] ?? 1e-8, weightDecay: o["weightDecay"] ?? 0, clipping: clipping)
    case "adamw":
      return try AdamW(
        parameters, learningRate: o["learningRate"] ?? 1e-3, betas: betas,
        weightDecay: o["weightDecay"] ?? 1e-2)
    case "rmsprop":
      return try RMSprop(
        parameters, learningRate: o["learningRate"] ?? 1e-2, alpha: o["alpha"] ?? 0.99,
        weightDecay: o["weightDecay"] ?? 0, momentum: o["momentum"] ?? 0,
        centered: o["centered"] != nil)
    default:
      return try Adagrad(
        parameters, learningRate: o["learningRate"] ?? 1e-2,
        learningRateDecay: o["learningRateDecay"] ?? 0, weightDecay: o["weightDecay"] ?? 0,
        initialAccumulator: o["initialAccumulator"] ?? 0)
    }
  }

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ c: Case, on device: Device) throws {
    let parameters = try zip(c.start, c.shapes).map {
      Parameter(try Tensor($0, shape: $1, on: device))
    }
    var optimizer = try make(c, parameters)
    for (step, gradients) in c.gradients.enumerated() {
      if step == 6 {
        // State saved and taken up by another optimizer goes on as if nothing had happened.
        let state = optimizer.state()
        optimizer = try make(c, parameters)
        try optimizer.load(state)
      }
      try optimizer.step(
        try zip(gradients, c.shapes).map { try Tensor($0, shape: $1, on: device) })
      for (parameter, expected) in zip(parameters, c.trajectory[step]) {
        #expect(distance(try parameter.value.scalars(), expected) < 3e-6, "step \(step)")
      }
    }
    #expect(optimizer.stepCount == c.gradients.count)
  }
}

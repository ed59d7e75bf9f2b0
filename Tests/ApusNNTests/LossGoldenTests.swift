import Apus
import Foundation
import TestSupport
import Testing

/// Every loss against values made by PyTorch.
struct LossGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name, loss: String
    let reduction: Reduction
    let input, target, value, gradient: GoldenArray
    let options: [String: Float]
    let extras: [String: GoldenArray]
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] { try golden("losses", in: .module) }

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ expected: Case, on device: Device) throws {
    let tape = Tape()
    let x = try tape.watch(try expected.input.tensor(on: device))
    let weight = try expected.extras["weight"]?.tensor(on: device)
    let value: Tensor
    switch expected.loss {
    case "crossEntropy":
      value = try crossEntropy(
        x, try expected.target.indices(on: device), weight: weight,
        labelSmoothing: expected.options["labelSmoothing"] ?? 0, reduction: expected.reduction)
    case "binaryCrossEntropyWithLogits":
      value = try binaryCrossEntropyWithLogits(
        x, try expected.target.tensor(on: device), weight: weight,
        positiveWeight: try expected.extras["positiveWeight"]?.tensor(on: device),
        reduction: expected.reduction)
    case "meanSquaredError":
      value = try meanSquaredError(
        x, try expected.target.tensor(on: device), reduction: expected.reduction)
    case "meanAbsoluteError":
      value = try meanAbsoluteError(
        x, try expected.target.tensor(on: device), reduction: expected.reduction)
    default:
      value = try huber(
        x, try expected.target.tensor(on: device), delta: expected.options["delta"] ?? 1,
        reduction: expected.reduction)
    }
    #expect(try distance(value, expected.value) < 3e-6)
    let gradient = try tape.gradients(of: value, for: [x], seed: .ones(like: value))[0]
    #expect(try distance(gradient, expected.gradient) < 3e-6)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let device = TestDevices.reference
    let logits = try Tensor.zeros([2, 3], on: device)
    let error = #expect(throws: ApusError.self) {
      try crossEntropy(logits, try Tensor([Int32(0), 1, 2], on: device))
    }
    #expect(error?.message.contains("[3]") == true && error?.message.contains("[2, 3]") == true)
    #expect(throws: ApusError.self) {
      try crossEntropy(logits, try Tensor([Int32(0), 3], on: device)).item()
    }
    #expect(throws: ApusError.self) {
      try meanSquaredError(logits, try Tensor.zeros([3, 2], on: device))
    }
    #expect(throws: ApusError.self) { try huber(logits, logits, delta: 0) }
  }
}

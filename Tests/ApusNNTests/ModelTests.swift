import Apus
import Foundation
import TestSupport
import Testing

/// A model written as a plain type: two inputs, a residual sum, two outputs.
private struct Branched: Module {
  let left, right: Linear
  let blocks: [Linear]
  let norm: LayerNorm?

  init(on device: Device) throws {
    let keys = RandomKey(1).split(4)
    left = try Linear(3, 4, key: keys[0], on: device)
    right = try Linear(2, 4, bias: false, key: keys[1], on: device)
    blocks = try keys[2...3].map { try Linear(4, 4, key: $0, on: device) }
    norm = try LayerNorm(4, on: device)
  }

  func callAsFunction(
    _ a: Tensor, _ b: Tensor, _ context: Context
  ) throws -> (sum: Tensor, head: Tensor) {
    var x = try left(a, context) + right(b, context)
    for block in blocks { x = try x + block(x, context).relu() }
    return (try norm?(x, context) ?? x, try x.sum(axis: 1))
  }
}

struct ModelTests {
  @Test func namesFollowProperties() throws {
    let model = try Branched(on: TestDevices.reference)
    #expect(
      model.namedParameters().map(\.name) == [
        "left.weight", "left.bias", "right.weight", "blocks.0.weight", "blocks.0.bias",
        "blocks.1.weight", "blocks.1.bias", "norm.weight", "norm.bias",
      ])
    #expect(model.parameterCount == 12 + 4 + 8 + 2 * 20 + 8)
  }

  @Test func anyGraphLearns() throws {
    for device in TestDevices.all {
      let model = try Branched(on: device)
      let a = try Tensor.normal([8, 3], key: RandomKey(2), on: device)
      let b = try Tensor.normal([8, 2], key: RandomKey(3), on: device)
      let target = try Tensor.normal([8], key: RandomKey(4), on: device)
      let optimizer = try Adam(model.parameters(), learningRate: 0.02)
      var losses: [Double] = []
      for _ in 0..<30 {
        let (loss, gradients) = try valueAndGradients(of: model.parameters()) { context in
          let (sum, head) = try model(a, b, context)
          return try meanSquaredError(head, target) + sum.square().mean() * 0.01
        }
        try optimizer.step(gradients)
        losses.append(try loss.item())
      }
      #expect((losses.last ?? 1) < losses[0] / 2, "\(device)")
    }
  }

  @Test func frozenParametersStay() throws {
    let device = TestDevices.reference
    let model = try Branched(on: device)
    model.left.setTrainable(false)
    let before = try model.left.weight.value.scalars()
    let a = try Tensor.ones([2, 3], on: device)
    let b = try Tensor.ones([2, 2], on: device)
    let optimizer = try SGD(model.parameters(), learningRate: 0.1)
    let right = try model.right.weight.value.scalars()
    let (_, gradients) = try valueAndGradients(of: model.parameters()) { context in
      try model(a, b, context).head.sum()
    }
    try optimizer.step(gradients)
    #expect(try model.left.weight.value.scalars() == before)
    #expect(try model.right.weight.value.scalars() != right)
  }

  @Test func dropoutWorksInTrainingOnly() throws {
    for device in TestDevices.all {
      let x = try Tensor.ones([100, 100], on: device)
      let layer = try Dropout(0.3)
      #expect(try layer(x, .evaluation).scalars() == x.scalars())
      let context = Context(isTraining: true, key: RandomKey(7))
      let first = try layer(x, context).scalars()
      let kept = Double(first.count { $0 != 0 }) / 10_000
      #expect(abs(kept - 0.7) < 0.03)
      #expect(first.allSatisfy { $0 == 0 || abs($0 - 1 / 0.7) < 1e-6 })
      #expect(try layer(x, context).scalars() != first, "a second draw is another pattern")
      #expect(try layer(x, Context(isTraining: true, key: RandomKey(7))).scalars() == first)
      #expect(throws: ApusError.self) { try layer(x, Context(isTraining: true)) }
    }
    #expect(throws: ApusError.self) { try Dropout(1.5) }
  }

  @Test func loadChangesNothingUnlessAllFits() throws {
    let device = TestDevices.reference
    let model = try Linear(3, 2, key: RandomKey(1), on: device)
    let before = try model.weight.value.scalars()
    let error = #expect(throws: ApusError.self) {
      try model.load([
        "weight": try Tensor.zeros([2, 3], on: device), "bais": try Tensor.zeros([2], on: device),
      ])
    }
    #expect(error?.message.contains("missing: bias") == true)
    #expect(error?.message.contains("unexpected: bais") == true)
    #expect(try model.weight.value.scalars() == before)
  }
}

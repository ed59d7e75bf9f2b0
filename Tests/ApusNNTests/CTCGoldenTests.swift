import Apus
import Foundation
import TestSupport
import Testing

/// The CTC loss against values made by PyTorch.
struct CTCGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let targets: [[Int]]
    let lengths: [Int]
    let blank: Int
    let zeroInfinity: Bool
    let reduction: Reduction
    let logits, loss, seed, gradient: GoldenArray
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] { try golden("ctc", in: .module) }

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ expected: Case, on device: Device) throws {
    let tape = Tape()
    let x = try tape.watch(try expected.logits.tensor(on: device))
    let loss = try ctcLoss(
      x.logSoftmax(axis: 2), expected.targets, lengths: expected.lengths, blank: expected.blank,
      reduction: expected.reduction, zeroInfinity: expected.zeroInfinity)
    #expect(try distance(loss, expected.loss) < 3e-6)
    let gradient = try tape.gradients(
      of: loss, for: [x], seed: try expected.seed.tensor(on: device))[0]
    #expect(try distance(gradient, expected.gradient) < 1e-5)
  }

  @Test(arguments: TestDevices.all) func impossibleTargets(on device: Device) throws {
    let tape = Tape()
    let x = try tape.watch(try Tensor.zeros([2, 2, 3], on: device))
    let losses = try ctcLoss(x.logSoftmax(axis: 2), [[1, 1], [2]], reduction: .none)
    let values = try losses.scalars()
    #expect(values[0] == .infinity && values[1].isFinite)
    let gradient = try tape.gradients(of: losses, for: [x], seed: .ones(like: losses))[0]
    #expect(try gradient.select(axis: 1, index: 0).abs().sum().item() == 0)
    #expect(try gradient.select(axis: 1, index: 1).abs().sum().item() > 0)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let x = try Tensor.zeros([3, 2, 4], on: TestDevices.reference)
    func refuses(_ words: String, _ targets: [[Int]], lengths: [Int]? = nil, blank: Int = 0) {
      let error = #expect(throws: ApusError.self) {
        try ctcLoss(x, targets, lengths: lengths, blank: blank)
      }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    refuses("one of each", [[1]])
    refuses("row 1 holds 4", [[1], [4]])
    refuses("row 0 holds 0", [[0], [1]])
    refuses("no class", [[1], [1]], blank: 4)
    refuses("length of row 1 is 4", [[1], [1]], lengths: [3, 4])
    refuses("length of row 0 is 0", [[1], [1]], lengths: [0, 3])
  }
}

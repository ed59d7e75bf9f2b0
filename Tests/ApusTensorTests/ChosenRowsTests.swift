import Apus
import TestSupport
import Testing

/// A product of rows that were taken from a table is that of the rows, whichever way it is computed.
@Suite struct ChosenRowsTests {
  @Test(arguments: TestDevices.all)
  func gradients(device: Device) throws {
    for (shape, isTurned) in [([7, 3], false), ([7, 3], true), ([40], false)] {
      let places: [Int32] = (0..<shape.reduce(1, *)).map { (place: Int) -> Int32 in
        Int32((place * 5 + place / 3) % 6)
      }
      let indices = try Tensor(places, shape: shape, on: device)
      /// `y` and the gradients of table, weight and bias; copies of rows are no rows of a table.
      func run(copies: Bool, asksForRows: Bool) throws -> (y: [Float], gradients: [[Float]]) {
        let tape = Tape()
        let table = try tape.watch(try Tensor.normal([6, 5], key: RandomKey(1), on: device))
        // Parameters that are watched before the rows are taken do not matter.
        let weight = try tape.watch(try Tensor.normal([19, 5], key: RandomKey(2), on: device))
        let bias = try tape.watch(try Tensor.normal([19], key: RandomKey(3), on: device))
        let taken = try table.take(indices)
        var rows = isTurned ? try taken.transposed(0, 1) : taken
        if copies { rows = try rows + 0 }
        let y = try rows.linear(weight, bias: bias)
        let seed = try Tensor.normal(y.shape, key: RandomKey(4), on: device)
        let sources = [table, weight, bias] + (asksForRows ? [taken] : [])
        let gradients = try tape.gradients(of: y, for: sources, seed: seed)
        return (try y.scalars(), try gradients.map { try $0.scalars(as: Float.self) })
      }
      let expected = try run(copies: true, asksForRows: true)
      #expect(expected.gradients[3].contains { $0 != 0 })
      for asksForRows in [false, true] {
        let found = try run(copies: false, asksForRows: asksForRows)
        #expect(distance(found.y, expected.y) < 1e-5)
        for (a, b) in zip(found.gradients, expected.gradients) { #expect(distance(a, b) < 1e-4) }
      }
    }
  }

  @Test(arguments: TestDevices.all)
  func withoutGradients(device: Device) throws {
    let table = try Tensor.normal([3, 4], key: RandomKey(1), on: device)
    let weight = try Tensor.normal([2, 4], key: RandomKey(2), on: device)
    let rows = try table.take(try Tensor([2, 0, 1, 2, 2, 0, 1] as [Int32], on: device))
    let expected = try (rows + 0).linear(weight).scalars()
    #expect(distance(try rows.linear(weight).scalars(), expected) < 1e-6)
    // What is computed from rows has no longer to do with the table.
    let other = try (rows * 2).linear(weight).scalars()
    #expect(distance(other, expected.map { 2 * $0 }) < 1e-5)
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
  }
}

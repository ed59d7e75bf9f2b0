import Apus
import TestSupport
import Testing

/// Recurrences at the level of tensors: gradients against differences, padding, refusals.
struct RecurrenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let cell: Recurrence.Cell
    let isReversed: Bool
    let lengths: [Int32]?
    let hasBias: Bool
    var testDescription: String {
      "\(cell), reversed \(isReversed), lengths \(lengths.map { "\($0)" } ?? "none"), bias \(hasBias)"
    }
  }

  static let all: [Case] = Recurrence.Cell.allCases.flatMap { cell in
    [false, true].flatMap { isReversed in
      [([Int32]?.none, true), ([3, 1, 2], true), ([2, 3, 0], false)].map {
        Case(cell: cell, isReversed: isReversed, lengths: $0.0, hasBias: $0.1)
      }
    }
  }

  /// Shapes of gates, weight, hidden, cell state and bias for 3 steps, 3 rows, 2 units.
  private static func shapes(_ c: Case) -> [[Int]] {
    let gates = 2 * c.cell.gateCount
    return [[3, 3, gates], [gates, 2], [3, 2]] + (c.cell == .lstm ? [[3, 2]] : [])
      + (c.hasBias ? [[gates]] : [])
  }

  private static func run(_ c: Case, _ x: [Tensor]) throws -> Tensor.RecurrentResult {
    try x[0].recurrence(
      c.cell, weight: x[1], bias: c.hasBias ? x[x.count - 1] : nil, hidden: x[2],
      cellState: c.cell == .lstm ? x[3] : nil,
      lengths: try c.lengths.map { try Tensor($0, on: x[0].device) }, isReversed: c.isReversed)
  }

  /// Everything that comes out, in one vector.
  private static func flat(_ c: Case, _ x: [Tensor]) throws -> Tensor {
    let result = try run(c, x)
    return try .concatenated(
      [result.output, result.hidden, result.cell].compactMap { $0 }.map { try $0.flattened() })
  }

  @Test(arguments: all) func agreesWithDifferences(_ c: Case) throws {
    let device = TestDevices.reference
    let shapes = Self.shapes(c)
    let inputs = try shapes.enumerated().map { index, shape in
      try Tensor.uniform(shape, low: -1, high: 1, key: RandomKey(UInt64(index) + 5), on: device)
        .scalars().map(Double.init)
    }
    func tensors(_ data: [[Double]]) throws -> [Tensor] {
      try zip(data, shapes).map { try Tensor($0, shape: $1, on: device) }
    }
    let size = try Self.flat(c, try tensors(inputs)).count
    let direction = try Tensor.normal([size], key: RandomKey(3), on: device).to(.float64)
    func projected(_ data: [[Double]]) throws -> Double {
      try (Self.flat(c, tensors(data)) * direction).sum().item()
    }
    let tape = Tape()
    let watched = try tensors(inputs).map { try tape.watch($0) }
    let gradients = try tape.gradients(
      of: try Self.flat(c, watched), for: watched, seed: direction)
    let step = 1e-5
    for input in inputs.indices {
      let gradient = try gradients[input].scalars(as: Double.self)
      for element in inputs[input].indices {
        var shifted = inputs
        shifted[input][element] += step
        let above = try projected(shifted)
        shifted[input][element] -= 2 * step
        let difference = (above - (try projected(shifted))) / (2 * step)
        #expect(
          abs(gradient[element] - difference) < 1e-6 * (1 + abs(difference)),
          "input \(input), element \(element): \(gradient[element]) against \(difference)")
      }
    }
  }

  /// What stands in steps beyond a row's length changes nothing, not even as NaN.
  @Test(arguments: all.filter { $0.lengths != nil }, TestDevices.all)
  func paddingIsNeverRead(_ c: Case, on device: Device) throws {
    let lengths = try #require(c.lengths)
    func outcome(_ padding: Float) throws -> [Tensor] {
      var inputs = try Self.shapes(c).enumerated().map { index, shape in
        try Tensor.uniform(shape, low: -1, high: 1, key: RandomKey(UInt64(index) + 5), on: device)
      }
      var gates = try inputs[0].scalars()
      let width = inputs[0].shape[2]
      for step in 0..<3 {
        for row in 0..<3 where step >= Int(lengths[row]) {
          for column in 0..<width { gates[(step * 3 + row) * width + column] = padding }
        }
      }
      inputs[0] = try Tensor(gates, shape: inputs[0].shape, on: device)
      let tape = Tape()
      let watched = try inputs.map { try tape.watch($0) }
      let y = try Self.flat(c, watched)
      let seed = try Tensor.normal(y.shape, key: RandomKey(4), on: device)
      return [y.detached] + (try tape.gradients(of: y, for: watched, seed: seed))
    }
    for (a, b) in zip(try outcome(0.5), try outcome(.nan)) {
      #expect(try a.scalars() == b.scalars())
    }
  }

  /// An output that nothing depends on has no part in the gradient; the others do.
  @Test(arguments: TestDevices.all) func anyOutputAlone(on device: Device) throws {
    let c = Case(cell: .lstm, isReversed: false, lengths: nil, hasBias: true)
    let inputs = try Self.shapes(c).enumerated().map { index, shape in
      try Tensor.uniform(shape, low: -1, high: 1, key: RandomKey(UInt64(index) + 5), on: device)
    }
    func gradients(_ pick: (Tensor.RecurrentResult) throws -> Tensor) throws -> [Tensor] {
      let tape = Tape()
      let watched = try inputs.map { try tape.watch($0) }
      return try tape.gradients(of: try pick(try Self.run(c, watched)).sum(), for: watched)
    }
    let parts = try [
      gradients { $0.output }, gradients { $0.hidden }, gradients { try #require($0.cell) },
    ]
    let whole = try gradients {
      try $0.output.sum() + $0.hidden.sum() + (try #require($0.cell)).sum()
    }
    for index in whole.indices {
      let sum = try parts[0][index] + parts[1][index] + parts[2][index]
      #expect(try distance(sum, whole[index]) < 1e-5)
    }
    // The last output is the final state.
    let last = try gradients { try $0.output[2] }
    for index in whole.indices {
      #expect(try distance(last[index], parts[1][index]) < 1e-6)
    }
  }

  @Test func refusesWhatDoesNotFit() throws {
    let device = TestDevices.reference
    func zeros(_ shape: Int...) throws -> Tensor { try .zeros(shape, on: device) }
    let (gates, weight, hidden) = (try zeros(2, 3, 8), try zeros(8, 2), try zeros(3, 2))
    func refuses(_ words: String, _ body: () throws -> Void) {
      let error = #expect(throws: ApusError.self) { try body() }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    refuses("[3 · H, H]") { _ = try gates.recurrence(.gru, weight: weight, hidden: hidden) }
    refuses("[T, B, 8]") {
      _ = try zeros(2, 3, 6).recurrence(.lstm, weight: weight, hidden: hidden, cellState: hidden)
    }
    refuses("belongs to an LSTM") {
      _ = try gates.recurrence(.lstm, weight: weight, hidden: hidden)
    }
    refuses("[3, 2]") {
      _ = try gates.recurrence(.lstm, weight: weight, hidden: zeros(2, 2), cellState: hidden)
    }
    refuses("one for each row") {
      _ = try gates.recurrence(
        .lstm, weight: weight, hidden: hidden, cellState: hidden,
        lengths: try Tensor([Int32(1)], on: device))
    }
    refuses("not int32") {
      _ = try gates.recurrence(
        .lstm, weight: weight, hidden: hidden, cellState: hidden, lengths: zeros(3))
    }
  }
}

import ApusCPU
import ApusDevice
import CVector
import Testing

extension CPUTests {
  /// Recurrent layers at every level of the loops, and with any number of threads.
  struct RecurrentTests {
    static let kinds = Recurrence.Cell.allCases.map {
      Recurrence($0, isReversed: $0 == .gru, hasBias: true, hasLengths: true)
    }

    /// Outputs of both passes: steps, rows, width. Few rows share the units among threads, many the rows.
    private func run(_ kind: Recurrence, _ size: [Int], composed: Bool = false) throws -> [[Float]]
    {
      let device = try sharedDevice()
      let (t, b, h) = (size[0], size[1], size[2])
      let (gates, saved) = (kind.gateCount * h, kind.savedCount * h)
      var numbers = Numbers(UInt64(t * b + h))
      let bound = 1 / Float(h).squareRoot()
      func made(_ shape: [Int], _ limit: Float = 1) throws -> Operand {
        try upload(numbers.floats(shape.reduce(1, *), -limit, limit), shape)
      }
      func room(_ shapes: [[Int]]) throws -> [Operand] {
        try shapes.map { try device.temporary($0) }
      }
      func call(_ operation: ApusDevice.Operation, _ inputs: [Operand], _ outputs: [Operand]) throws
      {
        let command = Command(operation, inputs: inputs, outputs: outputs)
        if composed { try device.compose(command) } else { try device.enqueue(command) }
      }
      let lengths = try upload((0..<b).map { Int32(1 + $0 * 5 % t) }, [b], .int32)
      let weight = try made([gates, h], bound)
      let state = try [made([b, h])] + (kind.hasCellState ? [made([b, h])] : [])
      let states = state.map(\.shape)
      var forward = try room([[t, b, h]] + states)
      if saved > 0 { forward += try room([[t, b, saved]]) }
      try call(
        .recurrence(kind),
        [made([t, b, gates]), weight, made([gates], bound)] + state + [lengths],
        forward)
      let kept = [weight, forward[0]] + (saved > 0 ? [forward[forward.count - 1]] : [])
      let backward = try room([[t, b, gates], [gates, h], [gates]] + states)
      try call(
        .recurrenceBackward(kind),
        kept + state + [lengths, made([t, b, h])] + (try states.map { try made($0) }), backward)
      return try (forward + backward).map { try storageValues($0) }
    }

    @Test(arguments: kinds, Array(0...Int(apus_best_level())))
    func everyLevelIsTheComposition(kind: Recurrence, level: Int) throws {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      for size in [[6, 3, 37], [4, 50, 19], [3, 1, 130]] {
        for (got, wanted) in zip(try run(kind, size), try run(kind, size, composed: true)) {
          expectClose(got, wanted.map(Double.init), "\(kind.cell) \(size)")
        }
      }
    }

    /// Whether rows or units are shared, and among how many, changes no bit.
    @Test(arguments: kinds) func doesNotDependOnThreads(kind: Recurrence) throws {
      for size in [[9, 3, 150], [5, 70, 40], [4, 1, 300]] {
        let many = try run(kind, size)
        apus_limit_threads(1)
        let one = try run(kind, size)
        apus_limit_threads(0)
        #expect(one == many)
      }
    }
  }
}

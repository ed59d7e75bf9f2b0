import ApusCPU
import ApusDevice
import CVector
import TestSupport
import Testing

extension CPUTests {
  /// Element-wise commands that run in one pass against the same commands run one by one, which a wait
  /// after each enforces: the bits must be the same.
  struct ChainTests {
    /// Long enough to wait, cut into pieces for threads, with a rest that fills no vector.
    static let length = 40_003

    /// Runs commands on the device, all in one go or with a wait after each.
    struct Runner {
      let device: CPUBackend
      let waits: Bool

      func callAsFunction(_ operation: Operation, _ inputs: [Operand], _ out: Operand) throws {
        try device.enqueue(operation, inputs, [out])
        if waits { try device.synchronize() }
      }
    }

    private func bits(waits: Bool, _ body: (Runner) throws -> [Operand]) throws -> [[UInt32]] {
      let results = try body(Runner(device: try sharedDevice(), waits: waits))
      var bits: [[UInt32]] = []
      for result in results { bits.append(try logicalValues(result, as: UInt32.self)) }
      return bits
    }

    private func expectSame(_ comment: String, _ body: (Runner) throws -> [Operand]) throws {
      let apart = try bits(waits: true, body)
      let together = try bits(waits: false, body)
      #expect(apart == together, "\(comment)")
    }

    private func samples(_ seed: UInt64, _ count: Int = length) throws -> Operand {
      var numbers = Numbers(seed)
      return try upload(numbers.floats(count), [count])
    }

    /// Behind another step, whose result each function then finds at hand, as its first operand or its
    /// second, and as its only one, which is read again later.
    private func expectSame(_ operation: Operation, _ x: Operand, _ y: Operand) throws {
      try expectSame("\(operation)") { run in
        let shape = x.shape
        let (sum, out) = (try run.device.temporary(shape), try run.device.temporary(shape))
        let (last, other) = (try run.device.temporary(shape), try run.device.temporary(shape))
        try run(.binary(.add), [x, y], sum)
        switch operation {
        case .ternary: try run(operation, [sum, y, x], out)
        case .binary, .unaryBackward: try run(operation, [sum, y], out)
        default: try run(operation, [sum], out)
        }
        try run(.binary(.multiply), [out, sum], last)
        switch operation {
        case .ternary: try run(operation, [x, last, y], other)
        case .binary, .unaryBackward: try run(operation, [y, last], other)
        default: try run(operation, [last], other)
        }
        return [sum, out, last, other]
      }
    }

    @Test(arguments: ChainCommands.functions) func everyFunction(operation: Operation) throws {
      try expectSame(operation, try samples(1), try samples(2))
    }

    @Test(arguments: ChainCommands.functions) func everyFunctionOfSpecialValues(
      operation: Operation
    ) throws {
      func special(_ seed: UInt64) throws -> Operand {
        var numbers = Numbers(seed)
        return try upload(numbers.floatsAtTheEdges(Self.length), [Self.length])
      }
      try expectSame(operation, try special(1), try special(2))
    }

    /// Chains of every length, on operands that fill no block, by the loops of every processor.
    @Test(arguments: 0...Int(apus_best_level())) func everyLength(level: Int) throws {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      let shortest = 32_768
      for rest in [0, 1, 3, 4, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255] {
        var numbers = Numbers(UInt64(rest))
        let length = shortest + rest
        // Places that are not aligned to vectors.
        let x = try upload(numbers.floatsAtTheEdges(length + 1), [length + 1])
          .with(Layout(contiguous: [length], offset: 1))
        try expectSame("GELU of \(length)") { run in
          func next(_ operation: Operation, _ inputs: Operand...) throws -> Operand {
            let out = try run.device.temporary([length])
            try run(operation, inputs, out)
            return out
          }
          let result = try ChainCommands.geluByHand(x, next)
          return try [result, next(.scalar(.subtract, 2, reversed: true), result)]
        }
      }
    }

    /// Commands at random on views, repeated elements and images; tensors die on the way, and their
    /// blocks come back for others.
    @Test(arguments: UInt64(1)...8) func randomPrograms(seed: UInt64) throws {
      let device = try sharedDevice()
      try expectSame("program \(seed)") { run in
        var counter: UInt64 = 0
        func pick(_ count: Int) -> Int {
          counter += 1
          return Int(Philox.block(key: seed, counter: counter)[0]) % count
        }
        let length = Self.length
        var live = try (0..<3).map { try samples(seed * 10 + UInt64($0)) }
        let wide = try samples(seed, 2 * length)
        for _ in 0..<150 {
          func operand() throws -> Operand {
            switch pick(8) {
            case 0:
              return wide.with(Layout(contiguous: [length], offset: pick(5) * 16 + pick(2) * 3))
            case 1, 2:
              let source = pick(2) == 0 ? wide : live[0]
              return source.with(Layout(shape: [1], strides: [1], offset: pick(9)))
                .broadcast(to: [length])
            default: return live[pick(live.count)]
            }
          }
          let out = try device.temporary([length])
          switch pick(7) {
          case 0: try run(.unary(ChainCommands.unary[pick(4)]), [try operand()], out)
          case 1:
            try run(
              .scalar(.multiply, Double(pick(20)), reversed: pick(2) == 0), [try operand()], out)
          case 2:
            try run(
              .ternary(.multiplyAdd), [try operand(), try operand(), try operand()], out)
          case 3: try run(.unaryBackward(.tanh), [try operand(), try operand()], out)
          case 4:
            // Onto a part of what others still read, elsewhere.
            try run(
              .scalar(.add, 0.5, reversed: false), [live[pick(live.count)]],
              wide.with(Layout(contiguous: [length], offset: pick(3) * 7)))
            try run(.copy, [wide.with(Layout(contiguous: [length]))], out)
          default:
            try run(
              .binary([.add, .subtract, .maximum][pick(3)]), [try operand(), try operand()], out)
          }
          // Values stay of one size, lest everything become infinite.
          let bounded = try device.temporary([length])
          try run(.unary(.clamp(min: -4, max: 4)), [out], bounded)
          live.append(bounded)
          if live.count > 5 { live.remove(at: pick(live.count)) }
          if pick(20) == 0 {
            let sum = try device.temporary([1])
            try run(.reduce(.sum, axes: [0]), [bounded], sum)
            let spread = try device.temporary([length])
            try run(.binary(.add), [sum.broadcast(to: [length]), bounded], spread)
            let kept = try device.temporary([length])
            try run(.unary(.clamp(min: -4, max: 4)), [spread], kept)
            live.append(kept)
          }
        }
        return live + [wide]
      }
    }

    @Test func overItself() throws {
      let device = try sharedDevice()
      try expectSame("over itself") { run in
        let x = try samples(5, Self.length + 3)
        let (low, high) = (
          x.with(Layout(contiguous: [Self.length])),
          x.with(Layout(contiguous: [Self.length], offset: 3))
        )
        let sum = try device.temporary([Self.length])
        try run(.binary(.add), [low, high], sum)
        try run(.unary(.square), [low], low)
        try run(.binary(.add), [low, sum], sum)
        return [x, sum]
      }
    }

    @Test func imagesAndLongResults() throws {
      let device = try sharedDevice()
      try expectSame("images") { run in
        let shape = [3, 5, 60, 70]
        let x = try samples(6, 63_000).with(Layout(channelsLast: shape))
        let y = try samples(7, 63_000).with(Layout(channelsLast: shape))
        let (sum, out) = (try device.featureMap(shape), try device.featureMap(shape))
        try run(.binary(.add), [x, y], sum)
        try run(.unary(.relu), [sum], out)
        let rows = try device.temporary(shape)
        try run(.binary(.add), [out, y], rows)
        return [sum, out, rows]
      }
      // Stored past the caches.
      let length = 4 << 20 + 5
      let x = try samples(3, length)
      try expectSame("large") { run in
        let (a, b) = (try device.temporary([length]), try device.temporary([length]))
        try run(.unary(.square), [x], a)
        try run(.scalar(.add, 1, reversed: false), [a], b)
        return [a, b]
      }
    }

    /// What nobody holds any more is not written, and its memory comes back.
    @Test func steadyState() throws {
      let device = try sharedDevice()
      let y = try samples(4)
      func sums() throws -> Operand {
        var z = y
        for _ in 0..<160 {
          let next = try device.temporary([Self.length])
          try device.enqueue(.binary(.add), [z, y], [next])
          z = next
        }
        return z
      }
      _ = try sums()
      let before = device.counters
      let values = try logicalValues(try sums(), as: Float.self)
      #expect(device.counters.allocations == before.allocations)
      let expected = try logicalValues(y, as: Float.self).map { y in
        (0..<160).reduce(y) { z, _ in z + y }
      }
      #expect(values == expected)
    }

    /// What waits holds commands of all threads.
    @Test func manyThreads() async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for thread in 0..<4 {
          group.addTask {
            for round in 0..<20 {
              let device = try sharedDevice()
              var x = try upload(
                [Float](repeating: Float(thread), count: Self.length), [Self.length])
              for _ in 0..<10 {
                let next = try device.temporary([Self.length])
                try device.enqueue(.scalar(.add, Double(round), reversed: false), [x], [next])
                x = next
              }
              let values = try logicalValues(x, as: Float.self)
              #expect(values == [Float](repeating: Float(thread + 10 * round), count: Self.length))
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }
}

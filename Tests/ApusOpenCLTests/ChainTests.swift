import ApusDevice
import ApusOpenCL
import TestSupport
import Testing

/// Element-wise commands that are launched together against the same commands launched one by one, which
/// a wait after each enforces: the bits must be the same.
@Suite(.serialized) struct ChainTests {
  static let kinds: [OpenCLDeviceDescription.Kind] = [.cpu, .gpu]

  /// A device of its own: commands of other tests would come between.
  private func open(_ kind: OpenCLDeviceDescription.Kind) throws -> OpenCLBackend {
    try OpenCLBackend(kind: kind)
  }

  /// The bits of `body`'s results, run in one go and with a wait after every command.
  private func bits(
    _ device: OpenCLBackend, waits: Bool,
    _ body: ((Operation, [Operand], Operand) throws -> Void) throws -> [Operand]
  ) throws -> [[UInt32]] {
    let results = try body { operation, inputs, out in
      try device.enqueue(operation, inputs, [out])
      if waits { try device.synchronize() }
    }
    return try results.map { try download(device, $0, as: Float.self).map(\.bitPattern) }
  }

  private func expectSame(
    _ device: OpenCLBackend, _ comment: String,
    _ body: ((Operation, [Operand], Operand) throws -> Void) throws -> [Operand]
  ) throws {
    let apart = try bits(device, waits: true, body)
    let together = try bits(device, waits: false, body)
    #expect(apart == together, "\(comment)")
  }

  /// Each function behind another step, whose result it then finds at hand, as its first operand or its
  /// second, and as its only one. (A command alone runs by a kernel of its own.)
  private func expectSameFunctions(
    _ device: OpenCLBackend, _ first: [Float], _ second: [Float]
  ) throws {
    let shape = [first.count]
    let x = try upload(device, first, shape, .float32)
    let y = try upload(device, second, shape, .float32)
    for operation in ChainCommands.functions {
      try expectSame(device, "\(operation)") { run in
        let (sum, out) = (try device.temporary(shape), try device.temporary(shape))
        let (last, other) = (try device.temporary(shape), try device.temporary(shape))
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
  }

  @Test(arguments: kinds) func everyFunction(kind: OpenCLDeviceDescription.Kind) throws {
    try expectSameFunctions(try open(kind), samples(1003, seed: 1), samples(1003, seed: 2))
  }

  /// Numbers of all sizes, and each kind of number that arithmetic treats in a way of its own.
  private func edges(_ count: Int, seed: UInt64) -> [Float] {
    let special: [Float] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, .leastNonzeroMagnitude,
      -.leastNormalMagnitude / 3, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 88.8, -104,
      0.625, 9.0107, -9.02, 10, 1e10, -3e38,
    ]
    return (0..<count).map { i in
      let random = Philox.block(key: seed, counter: UInt64(i))
      switch random[0] & 3 {
      case 0: return special[Int(random[1]) % special.count]
      case 1:
        let any = Float(bitPattern: random[1])
        return any.isNaN ? -0.5 : any
      default: return Philox.uniform(random[1]) * 24 - 12
      }
    }
  }

  @Test(arguments: kinds) func everyFunctionOfSpecialValues(
    kind: OpenCLDeviceDescription.Kind
  ) throws {
    try expectSameFunctions(try open(kind), edges(1003, seed: 1), edges(1003, seed: 2))
  }

  /// A chain of all that stays in registers, on operands that fill no block.
  @Test(arguments: kinds) func everyLength(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try open(kind)
    for length in [1, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 4096, 4097, 9001] {
      // Places that are not aligned to vectors.
      let x = try upload(
        device, edges(length + 1, seed: UInt64(length)), [length + 1], .float32
      ).with(Layout(contiguous: [length], offset: 1))
      try expectSame(device, "GELU of \(length)") { run in
        func next(_ operation: Operation, _ inputs: Operand...) throws -> Operand {
          let out = try device.temporary([length])
          try run(operation, inputs, out)
          return out
        }
        let result = try ChainCommands.geluByHand(x, next)
        let square = try next(.binary(.multiply), result, result)
        return try [
          square, next(.scalar(.subtract, 2, reversed: true), square),
          next(.scalar(.divide, 2, reversed: true), square),
        ]
      }
    }
  }

  /// Commands at random on tensors of two lengths, on views and on repeated elements; tensors die on the
  /// way, and their buffers come back for others.
  @Test(arguments: kinds) func randomPrograms(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try open(kind)
    for seed in UInt64(1)...12 {
      try expectSame(device, "program \(seed)") { run in
        var counter: UInt64 = 0
        func pick(_ count: Int) -> Int {
          counter += 1
          return Int(Philox.block(key: seed, counter: counter)[0]) % count
        }
        let lengths = [700, 5000]
        var live = try lengths.map { length in
          try (0..<3).map {
            try upload(
              device, samples(length, seed: seed * 10 + UInt64($0)), [length], .float32)
          }
        }
        let wide = try upload(device, samples(9000, seed: seed), [9000], .float32)
        for _ in 0..<120 {
          let group = pick(12) == 0 ? 1 - Int(seed % 2) : Int(seed % 2)
          let length = lengths[group]
          func operand() throws -> Operand {
            switch pick(8) {
            case 0:
              return wide.with(Layout(contiguous: [length], offset: pick(5) * 16 + pick(2) * 3))
            case 1:
              let one = live[1 - group][0].with(Layout(shape: [1], strides: [1], offset: pick(9)))
              return one.broadcast(to: [length])
            case 2:
              let one = live[group][0].with(Layout(shape: [1], strides: [1], offset: pick(9)))
              return one.broadcast(to: [length])
            default: return live[group][pick(live[group].count)]
            }
          }
          let out = try device.temporary([length])
          switch pick(6) {
          case 0: try run(.unary(ChainCommands.unary[pick(4)]), [try operand()], out)
          case 1: try run(.scalar(.multiply, 0.5, reversed: pick(2) == 0), [try operand()], out)
          case 2:
            try run(
              .ternary(.multiplyAdd), [try operand(), try operand(), try operand()], out)
          case 3: try run(.unaryBackward(.tanh), [try operand(), try operand()], out)
          default:
            try run(
              .binary([.add, .subtract, .maximum][pick(3)]), [try operand(), try operand()], out)
          }
          // Values stay of one size, lest everything become infinite.
          let bounded = try device.temporary([length])
          try run(.unary(.clamp(min: -4, max: 4)), [out], bounded)
          live[group].append(bounded)
          if live[group].count > 5 { live[group].remove(at: pick(live[group].count)) }
          if pick(20) == 0 {
            let sum = try device.temporary([1])
            try run(.reduce(.sum, axes: [0]), [bounded], sum)
            let spread = try device.temporary([length])
            try run(.binary(.add), [sum.broadcast(to: [length]), bounded], spread)
            let kept = try device.temporary([length])
            try run(.unary(.clamp(min: -4, max: 4)), [spread], kept)
            live[group].append(kept)
          }
        }
        return live[0] + live[1]
      }
    }
  }

  @Test(arguments: kinds) func largeResults(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try open(kind)
    // Long enough to be stored past the caches, with a rest that fills no vector.
    let length = 4 << 20 + 5
    let x = try upload(device, samples(length, seed: 3), [length], .float32)
    try expectSame(device, "large") { run in
      let (a, b) = (try device.temporary([length]), try device.temporary([length]))
      let view = b.with(Layout(contiguous: [length - 3], offset: 3))
      try run(.unary(.square), [x], a)
      try run(.scalar(.add, 1, reversed: false), [a], b)
      try run(.scalar(.add, 1, reversed: false), [a.with(Layout(contiguous: [length - 3]))], view)
      return [a, b]
    }
  }

  @Test(arguments: kinds) func launchesTogether(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try open(kind)
    let y = try upload(device, samples(16, seed: 4), [16], .float32)
    func sums() throws -> Operand {
      var z = y
      for _ in 0..<160 {
        let next = try device.temporary([16])
        try device.enqueue(.binary(.add), [z, y], [next])
        z = next
      }
      return z
    }
    _ = try sums()
    try device.synchronize()
    let before = device.counters
    let z = try sums()
    let values = try download(device, z, as: Float.self)
    let after = device.counters
    #expect(after.launches - before.launches == 10)
    #expect(after.allocations == before.allocations)
    let expected = samples(16, seed: 4).map { y in (0..<160).reduce(y) { z, _ in z + y } }
    #expect(values == expected)
  }

  /// A device can be used from several threads; what waits then holds commands of all of them.
  @Test(arguments: kinds) func manyThreads(kind: OpenCLDeviceDescription.Kind) async throws {
    let device = try open(kind)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for thread in 0..<4 {
        group.addTask {
          for round in 0..<50 {
            var x = try upload(
              device, [Float](repeating: Float(thread), count: 100), [100], .float32)
            for _ in 0..<10 {
              let next = try device.temporary([100])
              try device.enqueue(.scalar(.add, Double(round), reversed: false), [x], [next])
              x = next
            }
            let values = try download(device, x, as: Float.self)
            #expect(values == [Float](repeating: Float(thread + 10 * round), count: 100))
          }
        }
      }
      try await group.waitForAll()
    }
  }
}

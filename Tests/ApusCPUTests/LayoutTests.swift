import ApusDevice
import CVector
import Testing

extension CPUTests {
  /// The walks over strided operands: long rows, short rows, repeated elements, exchanged axes, parts of
  /// long reductions. Each against the obvious loop over logical positions.
  struct LayoutTests {
    /// Views of one storage of 80 000 floats.
    static let layouts = [
      Layout(shape: [7, 11], strides: [11, 1], offset: 3),
      Layout(shape: [300, 200], strides: [200, 1], offset: 0),
      Layout(shape: [300, 200], strides: [1, 300], offset: 5),
      Layout(shape: [300, 200], strides: [0, 1], offset: 5),
      Layout(shape: [300, 200], strides: [1, 0], offset: 5),
      Layout(shape: [300, 200], strides: [0, 0], offset: 9),
      Layout(shape: [40, 3, 500], strides: [3, 1, 120], offset: 0),
      Layout(shape: [500, 8, 3, 5], strides: [120, 1, 8, 24], offset: 1),
      Layout(shape: [5, 1, 4, 1, 3000], strides: [12000, 7, 3000, 9, 1], offset: 0),
      Layout(shape: [33, 65, 3], strides: [1000, 3, 1], offset: 2),
      Layout(
        shape: [2, 3, 4, 5, 2, 2, 3, 2], strides: [1, 2, 6, 24, 120, 240, 480, 1440], offset: 0),
      Layout(shape: [70001], strides: [1], offset: 4),
      Layout(shape: [], strides: [], offset: 8),
      Layout(shape: [3, 0, 5], strides: [0, 5, 1], offset: 0),
    ]

    static let values: [Float] = {
      var numbers = Numbers(21)
      return numbers.floats(80000)
    }()

    func view(_ layout: Layout) throws -> Operand {
      try upload(Self.values, [Self.values.count]).with(layout)
    }

    @Test(arguments: layouts)
    func elementwise(layout: Layout) throws {
      let device = try sharedDevice()
      let x = layout.positions.map { Self.values[$0] }
      let dense = try device.temporary(layout.shape)
      try device.enqueue(.copy, [try view(layout)], [dense])
      #expect(try logicalValues(dense) == x)

      let sum = try device.temporary(layout.shape)
      try device.enqueue(.binary(.add), [try view(layout), dense], [sum])
      #expect(try logicalValues(sum) == x.map { $0 + $0 })

      try device.enqueue(.scalar(.subtract, 1, reversed: true), [try view(layout)], [sum])
      #expect(try logicalValues(sum) == x.map { 1 - $0 })

      let flags = try device.temporary(layout.shape, .bool)
      try device.enqueue(.compare(.less), [try view(layout), dense], [flags])
      #expect(try logicalValues(flags, as: UInt8.self).allSatisfy { $0 == 0 })

      let words = try device.temporary(layout.shape, .int32)
      try device.enqueue(.copy, [try view(layout)], [words])
      #expect(try logicalValues(words, as: Int32.self) == x.map { Int32($0) })
    }

    /// Into a strided output: nothing but its elements may change.
    @Test(arguments: layouts.filter { !$0.strides.contains(0) })
    func writesOnlyItsElements(layout: Layout) throws {
      let device = try sharedDevice()
      var expected = Self.values
      for position in layout.positions { expected[position] = -expected[position] }
      let out = try upload(Self.values, [Self.values.count])
      try device.enqueue(.unary(.negate), [try view(layout)], [out.with(layout)])
      #expect(try storageValues(out) == expected)
      try device.enqueue(.copy, [try view(layout)], [out.with(layout)])
      #expect(try storageValues(out) == Self.values)
    }

    @Test(arguments: layouts.filter { $0.rank > 0 && $0.rank < 6 && $0.count > 0 })
    func reductions(layout: Layout) throws {
      let device = try sharedDevice()
      let x = layout.positions.map { Self.values[$0] }
      for mask in 1..<(1 << layout.rank) {
        let axes = layout.shape.indices.filter { mask >> $0 & 1 == 1 }
        var shape = layout.shape
        for axis in axes { shape[axis] = 1 }
        let target = Layout(contiguous: shape)
        let destinations = target.broadcast(to: layout.shape).positions
        var sums = [Double](repeating: 0, count: target.count)
        var largest = [Float](repeating: -.infinity, count: target.count)
        for (value, to) in zip(x, destinations) {
          sums[to] += Double(value)
          largest[to] = max(largest[to], value)
        }
        let out = try device.temporary(shape)
        try device.enqueue(.reduce(.sum, axes: axes), [try view(layout)], [out])
        expectClose(try storageValues(out), sums, relative: 2e-6, absolute: 2e-5, "sum \(axes)")
        try device.enqueue(.reduce(.maximum, axes: axes), [try view(layout)], [out])
        #expect(try storageValues(out) == largest)
      }
    }

    @Test func longReductionsDoNotDependOnThreads() throws {
      let device = try sharedDevice()
      let x = try device.temporary([1_000_003])
      try device.enqueue(.random(.normal(mean: 1, standardDeviation: 2), RandomKey(4)), [], [x])
      let columns = x.with(Layout(contiguous: [99991, 10]))
      func run() throws -> [[Float]] {
        let (all, each) = (try device.temporary([1]), try device.temporary([1, 10]))
        try device.enqueue(.reduce(.sum, axes: [0]), [x], [all])
        try device.enqueue(.reduce(.mean, axes: [0]), [columns], [each])
        return [try storageValues(all), try storageValues(each)]
      }
      let many = try run()
      apus_limit_threads(1)
      defer { apus_limit_threads(0) }
      #expect(try run() == many)
      let exact = try storageValues(x, as: Float.self).reduce(0.0) { $0 + Double($1) }
      expectClose(many[0], [exact], relative: 1e-6)
    }
  }
}

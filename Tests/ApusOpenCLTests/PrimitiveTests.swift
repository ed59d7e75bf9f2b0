import ApusDevice
import ApusOpenCL
import Foundation
import Testing

/// Values with both signs and no regularity that a wrong index could hide behind.
func samples(_ count: Int, seed: UInt64 = 1) -> [Float] {
  (0..<count).map { i in
    Philox.uniform(Philox.block(key: seed, counter: UInt64(i))[0]) * 4 - 2
  }
}

func closeTo(_ a: [Float], _ b: [Float], _ tolerance: Float) -> Bool {
  a.count == b.count
    && zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance * (1 + abs($1)) }
}

@Suite(.serialized) struct PrimitiveTests {
  let device: OpenCLBackend
  init() throws { device = try sharedDevice() }

  @Test func unaryFunctionsFollowTheirFormulas() throws {
    let x = samples(1037)
    let operand = try upload(device, x, [1037], .float32)
    let cases: [(UnaryOp, (Double) -> Double)] = [
      (.exp, { exp($0) }), (.tanh, { tanh($0) }), (.erf, { erf($0) }),
      (.sigmoid, { 1 / (1 + exp(-$0)) }), (.relu, { max($0, 0) }), (.square, { $0 * $0 }),
      (.gelu, { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }), (.expm1, { expm1($0) }),
      (.softplus(beta: 1, threshold: 20), { log1p(exp($0)) }),
      (.elu(alpha: 0.5), { $0 > 0 ? $0 : 0.5 * expm1($0) }), (.sin, { sin($0) }),
      (.clamp(min: -1, max: 0.5), { min(max($0, -1), 0.5) }), (.abs, { Swift.abs($0) }),
      (.round, { $0.rounded(.toNearestOrEven) }), (.sign, { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }),
    ]
    for (op, formula) in cases {
      let out = try device.temporary([1037])
      try device.enqueue(.unary(op), [operand], [out])
      let result = try download(device, out, as: Float.self)
      #expect(closeTo(result, x.map { Float(formula(Double($0))) }, 2e-6), "\(op)")
    }
  }

  @Test func exponentialCoversTheWholeRange() throws {
    let x: [Float] = [
      -200, -104, -100, -87.5, -1e-8, 0, 1, 50, 88.7, 88.8, 1000, .infinity, -.infinity,
    ]
    let operand = try upload(device, x, [x.count], .float32)
    let out = try device.temporary([x.count])
    try device.enqueue(.unary(.exp), [operand], [out])
    let result = try download(device, out, as: Float.self)
    for (value, got) in zip(x, result) {
      let want = Float(exp(Double(value)))
      #expect(
        got == want || abs(got - want) <= 2 * max(want.ulp, Float.leastNonzeroMagnitude), "\(value)"
      )
    }
  }

  @Test func broadcastAndStridedViews() throws {
    let (m, n) = (13, 37)
    let x = samples(m * n)
    let row = samples(n, seed: 2)
    let a = try upload(device, x, [m, n], .float32)
    let b = try upload(device, row, [n], .float32).broadcast(to: [m, n])
    let out = try device.temporary([m, n])
    try device.enqueue(.binary(.subtract), [a, b], [out])
    #expect(
      try download(device, out, as: Float.self) == (0..<m * n).map { x[$0] - row[$0 % n] })
    let turned = try device.temporary([n, m])
    try device.enqueue(.copy, [a.with(a.layout.permuted([1, 0]))], [turned])
    #expect(
      try download(device, turned, as: Float.self)
        == (0..<m * n).map { x[$0 % m * n + $0 / m] })
  }

  @Test(arguments: [[0], [1], [0, 1], [2], [0, 2], [0, 1, 2]])
  func reductions(axes: [Int]) throws {
    let shape = [5, 33, 19]
    let x = samples(5 * 33 * 19)
    let operand = try upload(device, x, shape, .float32)
    var outShape = shape
    for axis in axes { outShape[axis] = 1 }
    let layout = Layout(contiguous: outShape).broadcast(to: shape)
    let count = outShape.reduce(1, *)
    var sums = [Double](repeating: 0, count: count)
    var peaks = [Float](repeating: -.infinity, count: count)
    for i in x.indices {
      let at = [i / (33 * 19), i / 19 % 33, i % 19]
      let o = zip(at, layout.strides).reduce(0) { $0 + $1.0 * $1.1 }
      sums[o] += Double(x[i])
      peaks[o] = max(peaks[o], x[i])
    }
    let out = try device.temporary(outShape)
    try device.enqueue(.reduce(.sum, axes: axes), [operand], [out])
    #expect(closeTo(try download(device, out, as: Float.self), sums.map { Float($0) }, 1e-5))
    try device.enqueue(.reduce(.maximum, axes: axes), [operand], [out])
    #expect(try download(device, out, as: Float.self) == peaks)
  }

  @Test func longSumsAreCutInParts() throws {
    let n = 300_001
    let x = samples(n)
    let operand = try upload(device, x, [n], .float32)
    let out = try device.temporary([1])
    try device.enqueue(.reduce(.mean, axes: [0]), [operand], [out])
    let want = x.reduce(0.0) { $0 + Double($1) } / Double(n)
    #expect(abs(Double(try download(device, out, as: Float.self)[0]) - want) < 1e-6)
    let (rows, columns) = (3001, 7)
    let table = try upload(device, Array(x.prefix(rows * columns)), [rows, columns], .float32)
    let sums = try device.temporary([1, columns])
    try device.enqueue(.reduce(.sum, axes: [0]), [table], [sums])
    let expected = (0..<columns).map { c in
      Float((0..<rows).reduce(0.0) { $0 + Double(x[$1 * columns + c]) })
    }
    #expect(closeTo(try download(device, sums, as: Float.self), expected, 1e-4))
  }

  @Test func nanSpreadsAndCountsAsExtreme() throws {
    var x = samples(40)
    x[21] = .nan
    let operand = try upload(device, x, [40], .float32)
    let out = try device.temporary([1])
    for op in [ReduceOp.maximum, .minimum, .sum] {
      try device.enqueue(.reduce(op, axes: [0]), [operand], [out])
      #expect(try download(device, out, as: Float.self)[0].isNaN)
    }
    let position = try device.temporary([1], .int32)
    try device.enqueue(.argReduce(.minimum, axis: 0), [operand], [position])
    #expect(try download(device, position, as: Int32.self) == [21])
  }

  @Test func takeAndIndexAddAreAdjoint() throws {
    let (rows, columns) = (11, 35)
    let x = samples(rows * columns)
    let indices: [Int32] = [3, 0, 3, 10, 7]
    let table = try upload(device, x, [rows, columns], .float32)
    let index = try upload(device, indices, [5], .int32)
    let out = try device.temporary([5, columns])
    try device.enqueue(.take(axis: 0), [table, index], [out])
    #expect(
      try download(device, out, as: Float.self)
        == indices.flatMap { i in x[Int(i) * columns..<(Int(i) + 1) * columns] })
    let sum = try device.temporary([rows, columns])
    try device.enqueue(.indexAdd(axis: 0), [table, index, out], [sum])
    var want = x
    for i in indices {
      for c in 0..<columns { want[Int(i) * columns + c] += x[Int(i) * columns + c] }
    }
    #expect(try download(device, sum, as: Float.self) == want)
  }

  @Test func indexOutOfRangeSurfacesAtTheNextWait() throws {
    let table = try upload(device, samples(12), [4, 3], .float32)
    let index = try upload(device, [Int32(1), 4, -1], [3], .int32)
    let out = try device.temporary([3, 3])
    try device.enqueue(.take(axis: 0), [table, index], [out])
    #expect(throws: ApusError.self) { try device.synchronize() }
    try device.synchronize()
  }

  @Test func sortsStablyWithNaNLargest() throws {
    var x = samples(101)
    x[50] = .nan
    x[3] = x[90]
    let operand = try upload(device, x, [101], .float32)
    let (values, positions) = (try device.temporary([101]), try device.temporary([101], .int32))
    for descending in [false, true] {
      try device.enqueue(
        .sort(axis: 0, descending: descending), [operand], [values, positions])
      let key = { (i: Int) in x[i].isNaN ? Float.infinity : x[i] }
      let want = x.indices.sorted {
        key($0) == key($1) ? $0 < $1 : descending ? key($0) > key($1) : key($0) < key($1)
      }
      #expect(try download(device, positions, as: Int32.self) == want.map { Int32($0) })
    }
    let (best, where5) = (try device.temporary([5]), try device.temporary([5], .int32))
    try device.enqueue(.topK(k: 5, axis: 0, largest: false), [operand], [best, where5])
    #expect(
      try download(device, best, as: Float.self) == Array(x.filter { !$0.isNaN }.sorted().prefix(5))
    )
  }

  @Test func runningSumsAndComparisons() throws {
    let x = (0..<60).map { Float($0 % 7) }
    let operand = try upload(device, x, [3, 20], .float32)
    let out = try device.temporary([3, 20])
    try device.enqueue(.cumulativeSum(axis: 0), [operand], [out])
    #expect(
      try download(device, out, as: Float.self)
        == (0..<60).map { i in stride(from: i % 20, through: i, by: 20).reduce(0) { $0 + x[$1] } })
    let flags = try device.temporary([3, 20], .bool)
    try device.enqueue(.compare(.less), [operand, out], [flags])
    let sums = try download(device, out, as: Float.self)
    #expect(
      try download(device, flags, as: UInt8.self) == zip(x, sums).map { $0 < $1 ? 1 : 0 })
  }

  @Test func randomBitsAreThoseOfTheHost() throws {
    let n = 1003
    let key = RandomKey(0x1234_5678_9ABC_DEF0)
    let out = try device.temporary([n])
    try device.enqueue(.random(.uniform(low: 0, high: 1), key), [], [out])
    #expect(
      try download(device, out, as: Float.self)
        == (0..<n).map { i in
          Philox.uniform(Philox.block(key: key.value, counter: UInt64(i / 4))[i % 4])
        })
    try device.enqueue(.random(.normal(mean: 0, standardDeviation: 1), key), [], [out])
    let normal = (0..<n).map { i in
      Float(Philox.normal(Philox.block(key: key.value, counter: UInt64(i / 4)))[i % 4])
    }
    #expect(closeTo(try download(device, out, as: Float.self), normal, 1e-5))
  }

  @Test(arguments: DType.allCases, DType.allCases)
  func castsKeepSmallIntegers(from: DType, to: DType) throws {
    let n = 45
    let x = (0..<n).map { Float($0 % 2) }
    let start = try upload(device, x, [n], .float32)
    let (a, b) = (try device.temporary([n], from), try device.temporary([n], to))
    let back = try device.temporary([n])
    try device.enqueue(.copy, [start], [a])
    try device.enqueue(.copy, [a], [b])
    try device.enqueue(.copy, [b], [back])
    #expect(try download(device, back, as: Float.self) == x)
    try device.enqueue(.fill(1), [], [b])
    try device.enqueue(.copy, [b], [back])
    #expect(try download(device, back, as: Float.self) == [Float](repeating: 1, count: n))
  }
}

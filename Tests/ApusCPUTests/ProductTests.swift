import ApusDevice
import CVector
import Testing

extension CPUTests {
  /// Products against plain loops in double, at every level: own tiles, BLAS in blocks, single rows.
  struct ProductTests {
    static let sizes = [
      [1, 1, 1], [1, 300, 700], [300, 1, 7], [2, 3, 5], [13, 33, 17], [37, 53, 71], [128, 10, 512],
      [97, 131, 257], [193, 129, 600], [200, 50, 2100],
    ]

    @Test(arguments: sizes, Array(0...Int(apus_best_level())))
    func equalsLoops(size: [Int], level: Int) throws {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      let (m, n, k) = (size[0], size[1], size[2])
      var numbers = Numbers(UInt64(m * n + k))
      let (x, w, bias) = (numbers.floats(m * k), numbers.floats(n * k), numbers.floats(n))
      var expected = [Double](repeating: 0, count: m * n)
      for i in 0..<m {
        for j in 0..<n {
          var sum = 0.0
          for l in 0..<k { sum += Double(x[i * k + l]) * Double(w[j * k + l]) }
          expected[i * n + j] = sum
        }
      }
      let device = try sharedDevice()
      let absolute = 1e-6 * Double(k).squareRoot() * 4 + 1e-5
      // Both operands as rows and as columns.
      for transposesA in [false, true] {
        for transposesB in [false, true] {
          let a = try matrix(x, m, k, transposed: transposesA)
          let b = try matrix(w, n, k, transposed: transposesB)
          let out = try device.temporary([1, m, n])
          let right = b.with(
            Layout(
              shape: [1, k, n], strides: [0, b.layout.strides[1], b.layout.strides[0]], offset: 0))
          let left = a.with(Layout(shape: [1, m, k], strides: [0] + a.layout.strides, offset: 0))
          try device.enqueue(.gemm, [left, right], [out])
          expectClose(try logicalValues(out), expected, relative: 1e-5, absolute: absolute, "gemm")
        }
      }
      let out = try device.temporary([m, n])
      let b = try upload(bias, [n])
      try device.enqueue(
        .linear(activation: .relu), [try upload(x, [m, k]), try upload(w, [n, k]), b], [out])
      let activated = expected.indices.map { max(0, expected[$0] + Double(bias[$0 % n])) }
      expectClose(try logicalValues(out), activated, relative: 1e-5, absolute: absolute, "linear")
    }

    private func matrix(_ x: [Float], _ rows: Int, _ columns: Int, transposed: Bool) throws
      -> Operand
    {
      guard transposed else { return try upload(x, [rows, columns]) }
      var turned = x
      for i in 0..<rows {
        for j in 0..<columns { turned[j * rows + i] = x[i * columns + j] }
      }
      let operand = try upload(turned, [columns, rows])
      return operand.with(Layout(shape: [rows, columns], strides: [1, rows], offset: 0))
    }

    @Test func repeatsSmallMatricesOverABatch() throws {
      let device = try sharedDevice()
      let (batch, m, n, k) = (37, 5, 6, 7)
      var numbers = Numbers(3)
      let (x, y) = (numbers.floats(batch * m * k), numbers.floats(k * n))
      let out = try device.temporary([batch, m, n])
      let right = try upload(y, [k, n])
      try device.enqueue(
        .gemm,
        [
          try upload(x, [batch, m, k]),
          right.with(Layout(shape: [batch, k, n], strides: [0, n, 1], offset: 0)),
        ], [out])
      var expected: [Double] = []
      for i in 0..<batch * m {
        for j in 0..<n {
          expected.append(
            (0..<k).reduce(0.0) { $0 + Double(x[i * k + $1]) * Double(y[$1 * n + j]) })
        }
      }
      expectClose(try logicalValues(out), expected, "batch")
    }

    /// Elements of a product are summed in one order, however many threads take part.
    @Test func doesNotDependOnThreads() throws {
      let device = try sharedDevice()
      var numbers = Numbers(5)
      let (m, n, k) = (250, 270, 900)
      let a = try upload(numbers.floats(m * k), [1, m, k])
      let b = try upload(numbers.floats(k * n), [1, k, n])
      func run() throws -> [Float] {
        let out = try device.temporary([1, m, n])
        try device.enqueue(.gemm, [a, b], [out])
        return try storageValues(out)
      }
      let many = try run()
      apus_limit_threads(1)
      defer { apus_limit_threads(0) }
      #expect(try run() == many)
    }
  }
}

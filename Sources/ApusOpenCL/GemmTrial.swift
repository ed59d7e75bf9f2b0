import ApusDevice
import COpenCL

/// Operands of a product with known numbers, to try plans on.
struct GemmTrial {
  let problem: GemmProblem
  private let backend: OpenCLBackend
  private let operands: [Operand]
  private let a: [Float]
  private let b: [Float]
  private let samples: [(row: Int, column: Int, value: Double)]

  init(_ product: Tuner.Product, on backend: OpenCLBackend) throws {
    let (m, n, k) = (product.m, product.n, product.k)
    guard m > 0, n > 0, k > 0, m <= 1 << 16, n <= 1 << 16, k <= 1 << 16 else {
      throw ApusError(
        .value, operation: "tune", "extents \(m), \(n), \(k) are not within 1...65536")
    }
    var problem = GemmProblem(m: m, n: n, k: k)
    problem.s =
      product.order == .gradient
      ? MatrixView(rowStep: 1, columnStep: m) : MatrixView(rowStep: k, columnStep: 1)
    problem.v =
      product.order == .weight
      ? MatrixView(rowStep: 1, columnStep: k) : MatrixView(rowStep: n, columnStep: 1)
    problem.out = MatrixView(rowStep: n, columnStep: 1)
    self.problem = problem
    self.backend = backend
    let (s, v) = (problem.s, problem.v)
    let (a, b) = (Self.numbers(m * k, seed: 1), Self.numbers(k * n, seed: 2))
    (self.a, self.b) = (a, b)
    operands = [
      try Self.placed(a, on: backend), try Self.placed(b, on: backend),
      try backend.temporary([m, n]),
    ]
    // Corners and a scattering of others; every candidate is also compared everywhere with the usual one.
    var places = [(0, 0), (0, n - 1), (m - 1, 0), (m - 1, n - 1)]
    for i in 1...60 { places.append((i * 7919 % m, i * 104_729 % n)) }
    samples = places.map { row, column in
      var sum = 0.0
      for depth in 0..<k {
        sum +=
          Double(a[row * s.rowStep + depth * s.columnStep])
          * Double(b[depth * v.rowStep + column * v.columnStep])
      }
      return (row, column, sum)
    }
  }

  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var state = seed
    return (0..<count).map { _ in
      // SplitMix64 (Steele, Lea, Flood 2014).
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return Float((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1
    }
  }

  private static func placed(_ values: [Float], on backend: OpenCLBackend) throws -> Operand {
    let operand = try backend.temporary([values.count])
    try values.withUnsafeBytes {
      try backend.upload($0, to: operand.storage, byteOffset: 0)
    }
    return operand
  }

  func run(_ plan: GemmPlan) throws {
    let (a, b, out) = (
      try backend.buffer(operands[0]), try backend.buffer(operands[1]),
      try backend.buffer(operands[2])
    )
    try backend.multiply(problem, plan, a, b, a, out)
  }

  /// The output, which is overwritten before, so that a kernel that writes nothing is found out.
  func result() throws -> [Float] {
    var values = [Float](repeating: 0, count: problem.m * problem.n)
    try values.withUnsafeMutableBytes {
      try backend.download(operands[2].storage, byteOffset: 0, into: $0)
    }
    try backend.enqueue(.fill(.nan), [], [operands[2]])
    return values
  }

  /// A partial sum of i terms within 1 is about √i, and so are its roundings; k of them add up like k. A
  /// sum in order is off by 4e-8 · k at most (measured to k = 4096); one wrong term by much more.
  private var tolerance: Double { 1e-7 * Double(problem.k) + 1e-6 }

  func agreesWithReference(_ result: [Float]) -> Bool {
    samples.allSatisfy {
      abs(Double(result[$0.row * problem.n + $0.column]) - $0.value) <= tolerance
    }
  }

  func agree(_ result: [Float], _ expected: [Float]) -> Bool {
    let limit = Float(2 * tolerance)
    return zip(result, expected).allSatisfy { abs($0 - $1) <= limit }
  }

  /// Seconds of one run, from a number of them at once.
  func time(_ plan: GemmPlan, _ repeats: Int) throws -> Double {
    try backend.synchronize()
    let start = now()
    for _ in 0..<repeats { try run(plan) }
    try backend.synchronize()
    return (now() - start) / Double(repeats)
  }

  /// How many runs take about 4 ms, so that the wait at the end does not count.
  func repeats(_ plan: GemmPlan) throws -> Int {
    _ = try time(plan, 2)
    return max(1, min(200, Int(4e-3 / max(try time(plan, 3), 1e-6))))
  }
}

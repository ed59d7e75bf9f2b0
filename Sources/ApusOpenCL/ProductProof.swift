import ApusDevice

/// A product `[batch, m, k] · [batch, k, n]` whose result the host knows.
package struct ProductProof: Sendable {
  var batch = 1
  let m, n, k: Int
  /// Edge of a work-group's tile, and cuts of the depth.
  let edge, parts: Int
  /// Whether the left operand is dense along rows, the right one along the depth.
  var isTransposed = false

  /// Both tiles, ends of every axis, both orders of the operands, whole quads and a cut depth.
  package static let all = [
    ProductProof(m: 1, n: 1, k: 1, edge: 64, parts: 1),
    ProductProof(batch: 2, m: 37, n: 29, k: 43, edge: 64, parts: 1),
    ProductProof(m: 68, n: 84, k: 100, edge: 64, parts: 2, isTransposed: true),
    ProductProof(m: 131, n: 70, k: 75, edge: 128, parts: 1, isTransposed: true),
    ProductProof(m: 96, n: 132, k: 64, edge: 128, parts: 2),
  ]

  private func values(_ count: Int, seed: UInt64) -> [Float] {
    (0..<count).map {
      Philox.uniform(Philox.block(key: seed, counter: UInt64($0))[0]) * 4 - 2
    }
  }
  private var left: [Float] { values(batch * m * k, seed: 1) }
  private var right: [Float] { values(batch * k * n, seed: 2) }

  private var problem: GemmProblem {
    var problem = GemmProblem(batch: batch, m: m, n: n, k: k)
    problem.s = MatrixView(batchStep: m * k, rowStep: k, columnStep: 1)
    problem.v = MatrixView(batchStep: k * n, rowStep: n, columnStep: 1)
    if isTransposed {
      problem.s = MatrixView(batchStep: m * k, rowStep: 1, columnStep: m)
      problem.v = MatrixView(batchStep: k * n, rowStep: 1, columnStep: k)
    }
    problem.out = MatrixView(batchStep: m * n, rowStep: n, columnStep: 1)
    return problem
  }

  package func result(_ precision: MatrixPrecision, on backend: OpenCLBackend) throws -> [Float] {
    func placed(_ values: [Float]) throws -> Operand {
      let operand = try backend.temporary([values.count])
      try values.withUnsafeBytes { try backend.upload($0, to: operand.storage, byteOffset: 0) }
      return operand
    }
    let (a, b) = (try placed(left), try placed(right))
    // A kernel that writes nothing is found out.
    let out = try placed([Float](repeating: .nan, count: batch * m * n))
    let choice = GemmChoice(
      isTransposed: false, height: edge, rows: 1, columns: 0, depth: 0, parts: parts)
    let plan = GemmPlan(problem, on: backend.description, precision: precision, choice: choice)
    let first = try backend.buffer(a)
    try backend.multiply(
      problem, plan, first, try backend.buffer(b), first, try backend.buffer(out))
    var result = [Float](repeating: 0, count: batch * m * n)
    try result.withUnsafeMutableBytes {
      try backend.download(out.storage, byteOffset: 0, into: $0)
    }
    return result
  }

  /// The first output beyond what sums in float32 may err; see ``MatrixPrecision``.
  package func problem(with got: [Float], _ precision: MatrixPrecision) -> String? {
    let (a, b) = (left.map(precision.rounded), right.map(precision.rounded))
    let (s, v) = (problem.s, problem.v)
    for z in 0..<batch {
      for i in 0..<m {
        for j in 0..<n {
          var (sum, size) = (0.0, 0.0)
          for d in 0..<k {
            let x = Double(a[z * s.batchStep + i * s.rowStep + d * s.columnStep])
            let y = Double(b[z * v.batchStep + d * v.rowStep + j * v.columnStep])
            sum += x * y
            size += abs(x * y)
          }
          let value = Double(got[(z * m + i) * n + j])
          // Not a number is no agreement.
          if !(abs(value - sum) <= Double(k) * 0x1p-22 * size) {
            return "element (\(i), \(j)) of a product of \(m) x \(k) and \(k) x \(n) numbers is "
              + "\(value) instead of \(sum)"
          }
        }
      }
    }
    return nil
  }
}

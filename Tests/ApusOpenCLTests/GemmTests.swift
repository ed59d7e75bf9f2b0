import ApusDevice
import ApusOpenCL
import Foundation
import Testing

private let cpuKernels = Result { try OpenCLBackend(kind: .cpu) }
private let gpuKernels = Result { try OpenCLBackend(kind: .gpu) }

/// A matrix product in naive loops with Double sums: `[B, M, K] · [B, K, N]`.
private func product(
  _ a: [Float], _ b: [Float], _ batch: Int, _ m: Int, _ n: Int, _ k: Int,
  at first: (Int, Int, Int) -> Int, _ second: (Int, Int, Int) -> Int
) -> [Double] {
  var out: [Double] = []
  out.reserveCapacity(batch * m * n)
  for z in 0..<batch {
    for i in 0..<m {
      for j in 0..<n {
        var sum = 0.0
        for d in 0..<k { sum += Double(a[first(z, i, d)]) * Double(b[second(z, d, j)]) }
        out.append(sum)
      }
    }
  }
  return out
}

/// Matrix products of both kinds of kernels against naive loops.
@Suite(.serialized) struct GemmTests {
  static let sizes = [1, 2, 3, 7, 8, 31, 32, 33, 63, 65, 100]
  static let kinds = [OpenCLDeviceDescription.Kind.cpu, .gpu]

  private func device(_ kind: OpenCLDeviceDescription.Kind) throws -> OpenCLBackend {
    try (kind == .cpu ? cpuKernels : gpuKernels).get()
  }

  /// Rounding of a sum of `k` products whose terms are at most 4.
  private func agrees(_ got: [Float], _ want: [Double], depth: Int) -> Bool {
    let bound = 4e-6 * (1 + Double(depth).squareRoot())
    return got.count == want.count
      && zip(got, want).allSatisfy { abs(Double($0) - $1) <= bound * (1 + abs($1)) }
  }

  /// One product; `transposed` operands are views with swapped strides.
  private func check(
    _ kind: OpenCLDeviceDescription.Kind, _ batch: Int, _ m: Int, _ n: Int, _ k: Int,
    transposeA: Bool, transposeB: Bool, transposeOut: Bool = false, sharesB: Bool = false
  ) throws {
    let device = try device(kind)
    let a = samples(batch * m * k, seed: 1)
    let b = samples((sharesB ? 1 : batch) * k * n, seed: 2)
    let aStrides = transposeA ? [m * k, 1, m] : [m * k, k, 1]
    var bStrides = transposeB ? [k * n, 1, k] : [k * n, n, 1]
    if sharesB { bStrides[0] = 0 }
    let want = product(
      a, b, batch, m, n, k,
      at: { $0 * aStrides[0] + $1 * aStrides[1] + $2 * aStrides[2] },
      { $0 * bStrides[0] + $1 * bStrides[1] + $2 * bStrides[2] })
    let first = try upload(device, a, [a.count], .float32)
      .with(Layout(shape: [batch, m, k], strides: aStrides, offset: 0))
    let second = try upload(device, b, [b.count], .float32)
      .with(Layout(shape: [batch, k, n], strides: bStrides, offset: 0))
    // Guard words before, after and (every second element) between the outputs.
    let guardWord = Float(12345.5)
    let count = 16 + 2 * batch * m * n + 16
    let whole = try upload(
      device, [Float](repeating: guardWord, count: count), [count], .float32)
    let strides = transposeOut ? [2 * m * n, 2, 2 * m] : [2 * m * n, 2 * n, 2]
    let out = whole.with(Layout(shape: [batch, m, n], strides: strides, offset: 16))
    try device.enqueue(.gemm, [first, second], [out])
    var got = try download(device, whole, as: Float.self)
    var values: [Float] = []
    for z in 0..<batch {
      for i in 0..<m {
        for j in 0..<n {
          let at = 16 + z * strides[0] + i * strides[1] + j * strides[2]
          values.append(got[at])
          got[at] = guardWord
        }
      }
    }
    let label = "\(kind) \(batch)x\(m)x\(n)x\(k) \(transposeA) \(transposeB) \(transposeOut)"
    let isRight = agrees(values, want, depth: k)
    let isGuarded = got.allSatisfy { $0 == guardWord }
    #expect(isRight, "\(label)")
    #expect(isGuarded, "guard words of \(label)")
    // Dense outputs take the vector stores.
    let dense = try device.temporary([batch, m, n])
    let target =
      transposeOut
      ? dense.with(Layout(shape: [batch, m, n], strides: [m * n, 1, m], offset: 0)) : dense
    try device.enqueue(.gemm, [first, second], [target])
    let again = try download(device, dense, as: Float.self)
    let turned =
      transposeOut
      ? (0..<batch * m * n).map { index in
        let (z, rest) = (index / (m * n), index % (m * n))
        return again[z * m * n + rest % n * m + rest / n]
      } : again
    let isSame = turned == values
    #expect(isSame, "dense output of \(label)")
  }

  @Test(arguments: kinds, sizes)
  func sizesAndTransposes(kind: OpenCLDeviceDescription.Kind, m: Int) throws {
    for (index, n) in Self.sizes.enumerated() {
      let k = Self.sizes[(index * 3 + m) % Self.sizes.count]
      try check(
        kind, 1, m, n, k, transposeA: (m + n) % 2 == 0, transposeB: n % 3 == 0,
        transposeOut: n % 4 == 3)
    }
    for transposeA in [false, true] {
      for transposeB in [false, true] {
        try check(kind, 1, m, 65, 33, transposeA: transposeA, transposeB: transposeB)
        try check(
          kind, 1, 65, m, 100, transposeA: transposeA, transposeB: transposeB, transposeOut: true)
      }
    }
  }

  @Test(arguments: kinds)
  func deepAndLarge(kind: OpenCLDeviceDescription.Kind) throws {
    // Several slices of the depth, several blocks, and depths cut among work-items.
    for (m, n, k) in [(129, 200, 700), (3, 5, 4000), (1, 1, 5000), (40, 7, 3001), (300, 33, 257)] {
      try check(kind, 1, m, n, k, transposeA: false, transposeB: true)
      try check(kind, 1, m, n, k, transposeA: true, transposeB: false, transposeOut: true)
    }
  }

  @Test(arguments: kinds)
  func batches(kind: OpenCLDeviceDescription.Kind) throws {
    for shares in [false, true] {
      try check(
        kind, 5, 33, 20, 17, transposeA: false, transposeB: true, sharesB: shares)
      try check(
        kind, 3, 4, 70, 600, transposeA: true, transposeB: false, transposeOut: true,
        sharesB: shares)
      try check(kind, 7, 1, 31, 2, transposeA: false, transposeB: false, sharesB: shares)
    }
  }

  @Test(arguments: kinds)
  func emptyShapes(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try device(kind)
    for (b, m, n, k) in [(1, 3, 5, 0), (2, 40, 33, 0), (1, 0, 5, 4), (1, 5, 0, 4), (0, 2, 2, 2)] {
      let out = try upload(
        device, [Float](repeating: .nan, count: max(b * m * n, 1)), [b, m, n], .float32)
      try device.enqueue(
        .gemm, [try device.temporary([b, m, k]), try device.temporary([b, k, n])], [out])
      #expect(
        try download(device, out, as: Float.self) == [Float](repeating: 0, count: b * m * n))
    }
    let bias = try upload(device, samples(5), [5], .float32)
    let out = try device.temporary([2, 5])
    let (x, w) = (try device.temporary([2, 0]), try device.temporary([5, 0]))
    try device.enqueue(.linear(activation: nil), [x, w, bias], [out])
    #expect(try download(device, out, as: Float.self) == samples(5) + samples(5))
  }

  @Test(arguments: kinds)
  func notANumberAndInfinitySpread(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try device(kind)
    let (m, n, k) = (35, 37, 19)
    var a = samples(m * k, seed: 1)
    for d in 0..<k { a[4 * k + d] = 0 }
    var b = samples(k * n, seed: 2)
    b[3 * n + 6] = .infinity
    b[5 * n + 8] = .nan
    let out = try device.temporary([1, m, n])
    let inputs = [
      try upload(device, a, [1, m, k], .float32), try upload(device, b, [1, k, n], .float32),
    ]
    try device.enqueue(.gemm, inputs, [out])
    let got = try download(device, out, as: Float.self)
    for i in 0..<m {
      for j in 0..<n {
        let value = got[i * n + j]
        switch j {
        case 6: #expect(i == 4 ? value.isNaN : value.isInfinite)
        case 8: #expect(value.isNaN)
        default: #expect(value.isFinite)
        }
      }
    }
  }

  @Test(arguments: kinds)
  func linearMatchesItsComposition(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try device(kind)
    let activations: [UnaryOp?] = [
      nil, .negate, .abs, .sign, .square, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .reciprocal,
      .sin, .cos, .tanh, .erf, .floor, .ceil, .round, .sigmoid, .relu, .silu,
      .leakyReLU(slope: 0.1), .elu(alpha: 0.5), .gelu, .geluTanh,
      .softplus(beta: 2, threshold: 20), .clamp(min: -1, max: 0.5),
    ]
    // Tall, wide (which is computed transposed) and deep (whose depth is cut).
    for (m, n, k) in [(70, 33, 20), (6, 90, 50), (3, 5, 4000)] {
      let x = try upload(device, samples(m * k, seed: 1), [m, k], .float32)
      let w = try upload(device, samples(n * k, seed: 2), [n, k], .float32)
      let bias = try upload(device, samples(2 * n, seed: 3), [2 * n], .float32)
        .with(Layout(shape: [n], strides: [2], offset: 0))
      for activation in activations {
        for inputs in [[x, w, bias], [x, w]] {
          let fused = try device.temporary([m, n])
          let composed = try device.temporary([m, n])
          let operation = Operation.linear(activation: activation)
          try device.enqueue(operation, inputs, [fused])
          try device.compose(Command(operation, inputs: inputs, outputs: [composed]))
          let got = try download(device, fused, as: Float.self)
          let want = try download(device, composed, as: Float.self)
          let same = zip(got, want).allSatisfy {
            $0 == $1 || ($0.isNaN && $1.isNaN) || abs($0 - $1) <= 1e-5 * (1 + abs($1))
          }
          #expect(same, "\(kind) \(m)x\(n)x\(k) \(String(describing: activation))")
        }
      }
    }
  }

  @Test(arguments: kinds)
  func repeatsAgreeAndAllocateNothing(kind: OpenCLDeviceDescription.Kind) throws {
    let device = try device(kind)
    let a = try upload(device, samples(9 * 3000, seed: 1), [1, 9, 3000], .float32)
    let b = try upload(device, samples(3000 * 11, seed: 2), [1, 3000, 11], .float32)
    func run() throws -> Operand {
      let out = try device.temporary([1, 9, 11])
      try device.enqueue(.gemm, [a, b], [out])
      return out
    }
    let first = try download(device, try run(), as: Float.self)
    _ = try run()
    let before = device.counters
    for _ in 0..<50 { _ = try run() }
    let after = device.counters
    #expect(after.allocations == before.allocations)
    #expect(after.synchronizations == before.synchronizations)
    #expect(try download(device, try run(), as: Float.self) == first)
  }
}

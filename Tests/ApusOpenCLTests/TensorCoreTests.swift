import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

/// Kernels for GPUs whose instructions for tensor cores are emulated: everything but those is what runs there.
private let emulated = Result { try OpenCLBackend(kind: .gpu, tensorCores: .emulated) }
private let usual = Result { try OpenCLBackend(kind: .gpu, tensorCores: .own) }

/// One product of strided operands.
private struct Product: CustomTestStringConvertible {
  var batch = 1
  let m, n, k: Int
  var transposesA = false, transposesB = false, transposesOut = false, sharesB = false

  var testDescription: String { "\(batch)x\(m)x\(n)x\(k) \(transposesA) \(transposesB)" }
  var a: [Float] { samples(batch * m * k, seed: 1) }
  var b: [Float] { samples((sharesB ? 1 : batch) * k * n, seed: 2) }
  var aStrides: [Int] { transposesA ? [m * k, 1, m] : [m * k, k, 1] }
  var bStrides: [Int] {
    let steps = transposesB ? [1, k] : [n, 1]
    return [sharesB ? 0 : k * n] + steps
  }
  var outStrides: [Int] { transposesOut ? [m * n, 1, m] : [m * n, n, 1] }

  static let all =
    [1, 2, 7, 16, 31, 64, 65, 130].enumerated().flatMap { i, m in
      [1, 8, 33, 64, 129].enumerated().map { j, n in
        Product(
          m: m, n: n, k: [1, 3, 8, 17, 32, 40, 100][(3 * i + j) % 7], transposesA: (i + j) % 2 == 0,
          transposesB: j % 3 == 0, transposesOut: (i + 2 * j) % 4 == 1)
      }
    } + [
      // Depths that are cut, and operands in each order and of each alignment.
      Product(m: 3, n: 5, k: 4000), Product(m: 40, n: 7, k: 3001, transposesB: true),
      Product(m: 129, n: 200, k: 700, transposesA: true),
      Product(m: 300, n: 33, k: 257, transposesA: true, transposesB: true, transposesOut: true),
      Product(batch: 5, m: 33, n: 20, k: 17, transposesB: true),
      Product(batch: 3, m: 4, n: 70, k: 600, transposesA: true, transposesOut: true, sharesB: true),
      // Enough tiles for the large ones.
      Product(batch: 9, m: 130, n: 260, k: 36, transposesA: true),
    ]

  func run(on device: OpenCLBackend) throws -> [Float] {
    let first = try upload(device, a, [a.count], .float32)
      .with(Layout(shape: [batch, m, k], strides: aStrides, offset: 0))
    let second = try upload(device, b, [b.count], .float32)
      .with(Layout(shape: [batch, k, n], strides: bStrides, offset: 0))
    let whole = try upload(
      device, [Float](repeating: .nan, count: batch * m * n), [batch * m * n], .float32)
    try device.enqueue(
      .gemm, [first, second],
      [whole.with(Layout(shape: [batch, m, n], strides: outStrides, offset: 0))])
    return try download(device, whole, as: Float.self)
  }

  /// The largest error as a part of the one allowed, which the bound gives from the sum of magnitudes.
  func error(
    of got: [Float], rounding: (Float) -> Float, bound: (_ magnitudes: Double) -> Double
  ) -> Double {
    let (a, b) = (a.map(rounding), b.map(rounding))
    let (aStrides, bStrides, outStrides) = (aStrides, bStrides, outStrides)
    var worst = 0.0
    for z in 0..<batch {
      for i in 0..<m {
        for j in 0..<n {
          var (sum, size) = (0.0, 0.0)
          for d in 0..<k {
            let x = Double(a[z * aStrides[0] + i * aStrides[1] + d * aStrides[2]])
            let y = Double(b[z * bStrides[0] + d * bStrides[1] + j * bStrides[2]])
            sum += x * y
            size += abs(x * y)
          }
          let value = Double(got[z * outStrides[0] + i * outStrides[1] + j * outStrides[2]])
          let error = abs(value - sum) / bound(size)
          worst = error.isNaN ? .infinity : max(worst, error)
        }
      }
    }
    return worst
  }
}

@Suite(.serialized) struct TensorCoreTests {
  static let lower = [MatrixPrecision.tf32, .bfloat16]

  private func device(_ precision: MatrixPrecision) throws -> OpenCLBackend {
    let device = try emulated.get()
    try device.setMatrixPrecision(precision)
    return device
  }

  /// Within the bound of the documentation, and of operands rounded just so.
  @Test(arguments: lower)
  func productsAreWithinTheBound(precision: MatrixPrecision) throws {
    let (device, u) = (try device(precision), precision.unitRoundoff)
    var differs = 0
    for product in Product.all {
      let got = try product.run(on: device)
      let sums = Double(product.k) * 0x1p-22
      let stated = product.error(of: got, rounding: { $0 }) { (2 * u + u * u + sums) * $0 }
      #expect(stated <= 1, "\(product)")
      let exact = product.error(of: got, rounding: precision.rounded) { sums * $0 }
      #expect(exact <= 1, "\(product)")
      // What true float32 would have is far outside: the rounding takes place.
      differs += product.error(of: got, rounding: { $0 }) { sums * $0 } > 1 ? 1 : 0
    }
    #expect(differs > Product.all.count * 3 / 4)
  }

  /// Bias and activation are those of float32, on whole quads, at ends and after a cut depth.
  @Test(arguments: lower)
  func denseLayers(precision: MatrixPrecision) throws {
    let device = try device(precision)
    for (m, n, k) in [(70, 33, 20), (64, 128, 64), (3, 5, 4000), (6, 90, 50)] {
      let x = try upload(device, samples(m * k, seed: 1), [m, k], .float32)
      let w = try upload(device, samples(n * k, seed: 2), [n, k], .float32)
      let bias = try upload(device, samples(2 * n, seed: 3), [2 * n], .float32)
        .with(Layout(shape: [n], strides: [2], offset: 0))
      for activation in [nil, .relu, .tanh, .gelu, .leakyReLU(slope: 0.1)] as [UnaryOp?] {
        let operation = Operation.linear(activation: activation)
        let (fused, composed) = (try device.temporary([m, n]), try device.temporary([m, n]))
        try device.enqueue(operation, [x, w, bias], [fused])
        try device.compose(Command(operation, inputs: [x, w, bias], outputs: [composed]))
        let got = try download(device, fused, as: Float.self)
        let want = try download(device, composed, as: Float.self)
        #expect(closeTo(got, want, 1e-5), "\(m)x\(n)x\(k) \(String(describing: activation))")
      }
    }
  }

  /// A device that was never asked, and one that came back, have the same bits.
  @Test func float32StaysAsItWas() throws {
    let (plain, other) = (try usual.get(), try device(.bfloat16))
    for product in Product.all {
      try other.setMatrixPrecision(.bfloat16)
      let rounded = try product.run(on: other)
      try other.setMatrixPrecision(.float32)
      let (got, want) = (try product.run(on: other), try product.run(on: plain))
      #expect(got.map(\.bitPattern) == want.map(\.bitPattern), "\(product)")
      #expect(rounded != want, "\(product)")
    }
    #expect(plain.matrixPrecision == .float32 && other.matrixPrecision == .float32)
  }

  @Test(arguments: lower)
  func notANumberAndInfinitySpread(precision: MatrixPrecision) throws {
    let device = try device(precision)
    let (m, n, k) = (35, 37, 19)
    var b = samples(k * n, seed: 2)
    b[3 * n + 6] = .infinity
    b[5 * n + 8] = .nan
    let a = try upload(device, samples(m * k, seed: 1), [1, m, k], .float32)
    let out = try device.temporary([1, m, n])
    try device.enqueue(.gemm, [a, try upload(device, b, [1, k, n], .float32)], [out])
    for (index, value) in try download(device, out, as: Float.self).enumerated() {
      switch index % n {
      case 6: #expect(value.isInfinite)
      case 8: #expect(value.isNaN)
      default: #expect(value.isFinite)
      }
    }
  }

  @Test func roundingIsToTheNearest() {
    let step = Float(0x1p-10)
    #expect(MatrixPrecision.tf32.rounded(1 + step / 2) == 1 + step)
    #expect(MatrixPrecision.tf32.rounded(-1 - step * 0.49) == -1)
    #expect(MatrixPrecision.bfloat16.rounded(1 + 0x1p-8) == 1)
    #expect(MatrixPrecision.bfloat16.rounded(1 + 0x1.8p-7) == 1 + 0x1p-6)
    for precision in MatrixPrecision.allCases {
      for x in samples(1000) {
        #expect(abs(precision.rounded(x) - x) <= abs(x) * Float(precision.unitRoundoff))
        #expect(precision.rounded(precision.rounded(x)) == precision.rounded(x))
      }
      #expect(precision.rounded(.nan).isNaN && precision.rounded(-.infinity) == -.infinity)
    }
  }
}

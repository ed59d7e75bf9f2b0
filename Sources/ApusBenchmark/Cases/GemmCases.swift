import Apus

extension BenchCase {
  static let gemmCases: [BenchCase] =
    [
      (128, 512, 784), (256, 256, 256), (1024, 1024, 1024), (2048, 2048, 2048),
    ].map { gemm($0, $1, $2) } + [gemm(4096, 4096, 4096, isForGPUs: true)]

  /// `[M, K] · [K, N]`, peers call it `gemm-MxNxK`.
  static func gemm(_ m: Int, _ n: Int, _ k: Int, isForGPUs: Bool = false) -> BenchCase {
    BenchCase(
      name: "gemm-\(m)x\(n)x\(k)", work: .flops(2 * Double(m * n * k)),
      counterpart: 4 * Double(m * k + k * n + m * n), isForGPUs: isForGPUs
    ) { device in
      let a = try Tensor.uniform([m, k], key: RandomKey(1), on: device)
      let b = try Tensor.uniform([k, n], key: RandomKey(2), on: device)
      return {
        _ = try a.matmul(b)
        try device.synchronize()
      }
    }
  }
}

import ApusDevice
import ApusKernels
import Dispatch

extension OpenCLBackend {
  /// FLOP/s of fused multiply-adds in registers, the best of a few short runs.
  public func measuredPeak() throws -> Double {
    let items = max(description.computeUnits, 1) * 4096
    let out = try temporary([items])
    let target = try buffer(out)
    let kernel = try runtime.kernel(
      source: KernelSource.peak, program: "peak", kernel: "fma_peak", options: "")
    let rounds = 1024
    // 8 chains of 4 lanes, two operations each.
    return try best(of: Double(items) * Double(rounds) * 8 * 4 * 2) {
      try runtime.launch(kernel, LaunchSize(items, local: min(description.largestWorkGroup, 128))) {
        $0.buffer(target)
        $0.value(Int32(rounds))
      }
    }
  }

  /// Bytes a second of copying a buffer far larger than the caches, read and written bytes together.
  public func measuredBandwidth() throws -> Double {
    let count = min(1 << 26, max(1 << 20, description.largestAllocation / 64))
    let (from, to) = (try temporary([count]), try temporary([count]))
    try enqueue(.fill(1), [], [from])
    return try best(of: 8 * Double(count)) { try enqueue(.copy, [from], [to]) }
  }

  private func best(of work: Double, _ run: () throws -> Void) throws -> Double {
    try run()
    try synchronize()
    var best = 0.0
    for _ in 0..<5 {
      let start = DispatchTime.now().uptimeNanoseconds
      try run()
      try synchronize()
      let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
      if elapsed > 0 { best = max(best, work / elapsed) }
    }
    return best
  }
}

import ApusDevice

extension GemmPlan {
  /// A product with a vector reads each element of the matrix once: nothing is packed, and the work
  /// is cut so that every unit reads.
  init(vector problem: GemmProblem, on device: OpenCLDeviceDescription) {
    isTransposed = problem.m != 1
    let view = isTransposed ? problem.transposed : problem
    let units = max(device.computeUnits, 1)
    let step = view.v.rowStep == 1 ? 16 : 64
    let blocks = (view.n + step - 1) / step
    // About 4096 elements are worth a work-item of their own.
    let wanted = min(
      blocks, 8 * units, max(1, blocks * step * max(view.k, 1) / 4096))
    let each = (blocks + wanted - 1) / wanted
    let items = (blocks + each - 1) / each * view.batch
    let cut = items >= 2 * units ? 1 : max(1, min(4 * units / items, view.k / 2048, 64))
    let depth = max(16, ((view.k + cut - 1) / cut + 15) / 16 * 16)
    let parts = max(1, (view.k + depth - 1) / depth)
    arguments = GemmArguments(view)
    arguments.columns = Int32(truncatingIfNeeded: each * step)
    arguments.depth = Int32(truncatingIfNeeded: depth)
    arguments.parts = Int32(truncatingIfNeeded: parts)
    kernel = .gemm_vector
    size = LaunchSize((blocks + each - 1) / each, view.batch * parts)
    scratchBytes = 0
  }
}

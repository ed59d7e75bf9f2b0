import ApusDevice
import COpenCL

/// How many work-items run, per dimension, and in which groups.
struct LaunchSize {
  var dimensions: cl_uint
  var global: (Int, Int, Int)
  var local: (Int, Int, Int)

  /// One dimension; `global` is rounded up to a multiple of `local`, so kernels check bounds.
  init(_ global: Int, local: Int = 1) {
    dimensions = 1
    self.global = ((global + local - 1) / local * local, 1, 1)
    self.local = (local, 1, 1)
  }

  init(_ x: Int, _ y: Int, local: (Int, Int) = (1, 1)) {
    dimensions = 2
    global = ((x + local.0 - 1) / local.0 * local.0, (y + local.1 - 1) / local.1 * local.1, 1)
    self.local = (local.0, local.1, 1)
  }

  init(_ x: Int, _ y: Int, _ z: Int, local: (Int, Int, Int) = (1, 1, 1)) {
    dimensions = 3
    global = (
      (x + local.0 - 1) / local.0 * local.0, (y + local.1 - 1) / local.1 * local.1,
      (z + local.2 - 1) / local.2 * local.2
    )
    self.local = local
  }
}

extension Runtime {
  /// Enough work-items to occupy the device, none with too little to do: a chunk per work-item on a
  /// CPU, one element on a GPU up to a grid that fills it.
  @inline(__always)
  func launchSize(count: Int, multiple: Int) -> (size: LaunchSize, chunk: Int) {
    if isGPU { return (LaunchSize(min(count, 256 * 64 * 64), local: 256), 0) }
    let share = count / (description.computeUnits * 4) + 1
    let chunk = max(4096, (share + multiple - 1) / multiple * multiple)
    return (LaunchSize((count + chunk - 1) / chunk), chunk)
  }

  @inline(__always)
  func launchSize(_ it: inout Iteration) -> LaunchSize {
    let (size, chunk) = launchSize(count: Int(it.count), multiple: 64)
    it.chunk = Int32(truncatingIfNeeded: chunk)
    if streams(count: Int(it.count)) && it.isContiguous(0) && it.offset[0] % 16 == 0 {
      it.streams = 1
    }
    return size
  }

  /// Whether that many results of 4 bytes are more than a processor's caches hold for the next command.
  func streams(count: Int) -> Bool { !isGPU && count >= 4 << 20 }
}

import ApusDevice

extension OpenCLBackend {
  func random(_ distribution: RandomDistribution, _ key: RandomKey, _ out: Operand) throws {
    try require(.float32, out, "random")
    guard out.layout.isContiguous else {
      let dense = try temporary(out.shape)
      try random(distribution, key, dense)
      return try copy(dense, to: out)
    }
    let count = try index(out.count)
    guard count > 0 else { return }
    let (code, a, b): (Int32, Float, Float) =
      switch distribution {
      case .uniform(let low, let high): (0, low, high)
      case .normal(let mean, let deviation): (1, mean, deviation)
      case .bernoulli(let probability): (2, probability, 0)
      }
    let (size, chunk) = blockLaunchSize(Int(count))
    let target = try buffer(out)
    let offset = try index(out.layout.offset)
    try runtime.launch(.random, size) {
      $0.buffer(target)
      $0.value(offset)
      $0.value(count)
      $0.value(chunk)
      $0.value(UInt32(truncatingIfNeeded: key.value))
      $0.value(UInt32(truncatingIfNeeded: key.value >> 32))
      $0.value(code)
      $0.value(a)
      $0.value(b)
    }
  }

  func dropout(_ command: Command, _ probability: Float, _ key: RandomKey) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    guard probability < 1, x.dtype == .float32, x.layout.isContiguous, out.layout.isContiguous
    else { return try compose(command) }
    let count = try index(out.count)
    guard count > 0 else { return }
    let (size, chunk) = blockLaunchSize(Int(count))
    let (source, target) = (try buffer(x), try buffer(out))
    let (from, to) = (try index(x.layout.offset), try index(out.layout.offset))
    try runtime.launch(.dropout, size) {
      $0.buffer(source)
      $0.buffer(target)
      $0.value(from)
      $0.value(to)
      $0.value(count)
      $0.value(chunk)
      $0.value(UInt32(truncatingIfNeeded: key.value))
      $0.value(UInt32(truncatingIfNeeded: key.value >> 32))
      $0.value(probability)
      $0.value(1 / (1 - probability))
    }
  }

  /// Blocks of four elements: a chunk of blocks per work-item on a CPU, one on a GPU.
  private func blockLaunchSize(_ count: Int) -> (LaunchSize, Int32) {
    let blocks = (count + 3) / 4
    if runtime.isGPU { return (LaunchSize(blocks, local: 64), 1) }
    let chunk = max(1024, blocks / (runtime.description.computeUnits * 4) + 1)
    return (LaunchSize((blocks + chunk - 1) / chunk), Int32(truncatingIfNeeded: chunk))
  }
}

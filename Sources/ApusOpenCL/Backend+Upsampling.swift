import ApusDevice

/// Where the rows and then the columns of a resized image look, as the kernels read it.
private struct UpsamplingTables {
  var neighbours: [Int32] = []
  var shares: [Float] = []
  /// For each input row and then column: the first output that may look at it, and one past the last.
  var ranges: [Int32] = []

  init(_ upsampling: Upsampling, from input: [Int], to output: [Int]) throws {
    for axis in 2...3 {
      let sources = upsampling.sources(axis: axis, input: input[axis], output: output[axis])
      var first = [Int](repeating: output[axis], count: input[axis])
      var last = [Int](repeating: 0, count: input[axis])
      for (position, source) in sources.enumerated() {
        neighbours += [try index(source.first), try index(source.second)]
        shares.append(Float(source.share))
        for met in [source.first, source.second] {
          first[met] = min(first[met], position)
          last[met] = max(last[met], position + 1)
        }
      }
      for position in first.indices {
        ranges += [try index(first[position]), try index(last[position])]
      }
    }
  }
}

extension OpenCLBackend {
  private func upload<T: BitwiseCopyable>(_ values: [T]) throws -> Operand {
    let operand = try temporary([values.count], .int32)
    try values.withUnsafeBytes { try upload($0, to: operand.storage, byteOffset: 0) }
    return operand
  }

  func upsample(_ command: Command, _ upsampling: Upsampling) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    try require(.float32, x, "upsample")
    guard out.count > 0, x.count > 0 else { return try compose(command) }
    let tables = try UpsamplingTables(upsampling, from: x.shape, to: out.shape)
    var grid = try ImageGrid(out.shape)
    let size = imageLaunchSize(&grid, cost: 4)
    let walk = grid
    let places = (try ImagePlace(x), try ImagePlace(out))
    let (neighbours, shares) = (try upload(tables.neighbours), try upload(tables.shares))
    let (a, b, c, d) = (
      try buffer(x), try buffer(out), try buffer(neighbours), try buffer(shares)
    )
    try runtime.launch(.resize, size) {
      $0.images(walk, at: places.0, places.1)
      $0.buffers(a, b, c, d)
    }
  }

  func upsampleBackward(_ command: Command, _ upsampling: Upsampling) throws {
    let (dy, dx) = (command.inputs[0], command.outputs[0])
    try require(.float32, dy, "upsampleBackward")
    guard dy.count > 0, dx.count > 0 else { return try compose(command) }
    let tables = try UpsamplingTables(upsampling, from: dx.shape, to: dy.shape)
    var grid = try ImageGrid(dx.shape)
    let size = imageLaunchSize(&grid, cost: 4 * max(1, dy.count / dx.count))
    let walk = grid
    let places = (try ImagePlace(dy), try ImagePlace(dx))
    let (neighbours, shares) = (try upload(tables.neighbours), try upload(tables.shares))
    let ranges = try upload(tables.ranges)
    let height = try index(dy.shape[2])
    let (a, b) = (try buffer(dy), try buffer(dx))
    let (c, d, e) = (try buffer(neighbours), try buffer(shares), try buffer(ranges))
    try runtime.launch(.resize_backward, size) {
      $0.images(walk, at: places.0, places.1)
      $0.buffers(a, b, c, d, e)
      $0.value(height)
    }
  }
}

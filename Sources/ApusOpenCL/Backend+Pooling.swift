import ApusDevice

/// `Extent` of pooling.cl.
private struct ExtentArguments: BitwiseCopyable {
  var height, width: Int32
  var beforeHeight: Int32 = 0
  var beforeWidth: Int32 = 0
  var afterHeight: Int32 = 0
  var afterWidth: Int32 = 0

  init(_ shape: [Int], _ window: Window, countsPadding: Bool) throws {
    (height, width) = (try index(shape[2]), try index(shape[3]))
    guard countsPadding else { return }
    (beforeHeight, beforeWidth) = (try index(window.top), try index(window.left))
    (afterHeight, afterWidth) = (try index(window.bottom), try index(window.right))
  }
}

extension OpenCLBackend {
  func maxPool(_ command: Command, _ window: Window) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    try require(.float32, x, "maxPool")
    guard out.count > 0, x.count > 0 else { return try compose(command) }
    let indices = command.outputs.count > 1 ? command.outputs[1] : nil
    var grid = try ImageGrid(out.shape)
    let size = imageLaunchSize(&grid, cost: window.height * window.width)
    let walk = grid
    let places = (try ImagePlace(x), try ImagePlace(out), try ImagePlace(indices ?? out))
    let frame = try WindowArguments(window)
    let (height, width) = (try index(x.shape[2]), try index(x.shape[3]))
    let (a, b, c) = (try buffer(x), try buffer(out), try buffer(indices ?? out))
    try runtime.launch(.max_pool, size) {
      $0.images(walk, at: places.0, places.1, places.2, frame: frame)
      $0.buffers(a, b, c)
      $0.value(height)
      $0.value(width)
      $0.value(Int32(indices == nil ? 0 : 1))
    }
  }

  func maxPoolBackward(_ command: Command, _ window: Window) throws {
    let (dy, indices, dx) = (command.inputs[0], command.inputs[1], command.outputs[0])
    try require(.float32, dy, "maxPoolBackward")
    guard dy.count > 0, dx.count > 0 else { return try compose(command) }
    var grid = try ImageGrid(dx.shape)
    let size = imageLaunchSize(&grid, cost: 2)
    let walk = grid
    let places = (try ImagePlace(dy), try ImagePlace(indices), try ImagePlace(dx))
    let frame = try WindowArguments(window)
    let (height, width) = (try index(dy.shape[2]), try index(dy.shape[3]))
    let (a, b, c) = (try buffer(dy), try buffer(indices), try buffer(dx))
    try runtime.launch(.max_pool_backward, size) {
      $0.images(walk, at: places.0, places.1, places.2, frame: frame)
      $0.buffers(a, b, c)
      $0.value(height)
      $0.value(width)
    }
  }

  func averagePool(_ command: Command, _ window: Window, countsPadding: Bool) throws {
    let (x, out) = (command.inputs[0], command.outputs[0])
    try require(.float32, x, "averagePool")
    guard out.count > 0, x.count > 0 else { return try compose(command) }
    var grid = try ImageGrid(out.shape)
    let size = imageLaunchSize(&grid, cost: window.height * window.width)
    let walk = grid
    let places = (try ImagePlace(x), try ImagePlace(out))
    let frame = try WindowArguments(window)
    let extent = try ExtentArguments(x.shape, window, countsPadding: countsPadding)
    let (a, b) = (try buffer(x), try buffer(out))
    try runtime.launch(.average_pool, size) {
      $0.images(walk, at: places.0, places.1, frame: frame)
      $0.value(extent)
      $0.buffers(a, b)
    }
  }

  func averagePoolBackward(_ command: Command, _ window: Window, countsPadding: Bool) throws {
    let (dy, dx) = (command.inputs[0], command.outputs[0])
    try require(.float32, dy, "averagePoolBackward")
    guard dy.count > 0, dx.count > 0 else { return try compose(command) }
    var grid = try ImageGrid(dx.shape)
    let size = imageLaunchSize(&grid, cost: 2)
    let walk = grid
    let places = (try ImagePlace(dy), try ImagePlace(dx))
    let frame = try WindowArguments(window)
    let extent = try ExtentArguments(dx.shape, window, countsPadding: countsPadding)
    let (height, width) = (try index(dy.shape[2]), try index(dy.shape[3]))
    let (a, b) = (try buffer(dy), try buffer(dx))
    try runtime.launch(.average_pool_backward, size) {
      $0.images(walk, at: places.0, places.1, frame: frame)
      $0.value(extent)
      $0.buffers(a, b)
      $0.value(height)
      $0.value(width)
    }
  }

  /// Adaptive pooling (`x → out`) and its gradient (`dy → dx`): one walk over what is written.
  func adaptivePool(_ command: Command, _ kernel: KernelID) throws {
    let (from, to) = (command.inputs[0], command.outputs[0])
    try require(.float32, from, "adaptiveAveragePool")
    guard from.count > 0, to.count > 0 else { return try compose(command) }
    var grid = try ImageGrid(to.shape)
    let size = imageLaunchSize(&grid, cost: max(1, from.count / to.count))
    let walk = grid
    let places = (try ImagePlace(from), try ImagePlace(to))
    let (height, width) = (try index(from.shape[2]), try index(from.shape[3]))
    let (a, b) = (try buffer(from), try buffer(to))
    try runtime.launch(kernel, size) {
      $0.images(walk, at: places.0, places.1)
      $0.buffers(a, b)
      $0.value(height)
      $0.value(width)
    }
  }
}

import ApusDevice
import COpenCL

/// `Grid` of images.cl: the images that a kernel walks over.
struct ImageGrid: BitwiseCopyable {
  var images, height, width, channels: Int32
  var chunk: Int32 = 0

  init(_ shape: [Int]) throws {
    images = try index(shape[0])
    channels = try index(shape[1])
    (height, width) = (try index(shape[2]), try index(shape[3]))
    _ = try index(shape[0] * shape[1] * shape[2] * shape[3])
  }
}

/// `Place` of images.cl.
struct ImagePlace: BitwiseCopyable {
  var offset, image, channel, row, column: Int32

  init(_ operand: Operand) throws {
    let layout = operand.layout
    _ = try index(layout.end)
    // A step that leaves 32 bits belongs to an axis of extent 1 and is never taken.
    offset = try index(layout.offset)
    image = Int32(truncatingIfNeeded: layout.strides[0])
    channel = Int32(truncatingIfNeeded: layout.strides[1])
    row = Int32(truncatingIfNeeded: layout.strides[2])
    column = Int32(truncatingIfNeeded: layout.strides[3])
  }
}

/// `Frame` of images.cl.
struct WindowArguments: BitwiseCopyable {
  var height, width, strideHeight, strideWidth, dilationHeight, dilationWidth, top, left: Int32

  init(_ window: Window) throws {
    (height, width) = (try index(window.height), try index(window.width))
    strideHeight = try index(window.strideHeight)
    strideWidth = try index(window.strideWidth)
    dilationHeight = try index(window.dilationHeight)
    dilationWidth = try index(window.dilationWidth)
    (top, left) = (try index(window.top), try index(window.left))
  }
}

extension KernelArguments {
  /// The first parameters of kernels that walk over images: the grid, where operands lie, the window.
  mutating func images(
    _ grid: ImageGrid, at places: ImagePlace..., frame: WindowArguments? = nil
  ) {
    value(grid)
    for place in places { value(place) }
    if let frame { value(frame) }
  }

  mutating func buffers(_ buffers: cl_mem...) {
    for one in buffers { buffer(one) }
  }
}

extension OpenCLBackend {
  /// Rows of the grid per work-item on a CPU, single elements on a GPU; `cost` counts the elements
  /// that one of the grid reads.
  func imageLaunchSize(_ grid: inout ImageGrid, cost: Int) -> LaunchSize {
    let rows = Int(grid.images) * Int(grid.height)
    let row = Int(grid.width) * Int(grid.channels)
    if runtime.isGPU { return LaunchSize(min(rows * row, 1 << 20), local: 64) }
    let share = rows / (description.computeUnits * 4) + 1
    let enough = 8192 / max(row * cost, 1) + 1
    let chunk = min(max(share, enough), max(rows, 1))
    grid.chunk = Int32(truncatingIfNeeded: chunk)
    return LaunchSize((rows + chunk - 1) / chunk)
  }
}

import ApusDevice
import COpenCL

/// A caching pool of device buffers in size classes; all calls happen under the device's lock.
///
/// A buffer goes back the moment its last owner dies, while commands that use it may still wait
/// in the queue: the queue is in order, so whatever the next owner enqueues runs after them.
struct BufferPool {
  private let context: cl_context
  private var free: [[cl_mem]] = Array(repeating: [], count: Self.classCount)
  private(set) var allocations = 0
  private(set) var hits = 0
  private(set) var bytesInUse = 0
  private(set) var peakBytesInUse = 0
  private(set) var bytesCached = 0

  init(context: cl_context) { self.context = context }

  private static let smallestShift = 8
  private static let classCount = 4 * (64 - smallestShift)

  /// Four classes per power of two from 256 bytes on, so at most a quarter is wasted.
  static func sizeClass(bytes: Int) -> (index: Int, bytes: Int) {
    let smallest = 1 << smallestShift
    guard bytes > smallest else { return (0, smallest) }
    let shift = Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount
    let step = 1 << (shift - 2)
    let quarter = (bytes - 1 - (1 << shift)) / step
    return (4 * (shift - smallestShift) + quarter + 1, (1 << shift) + (quarter + 1) * step)
  }

  /// Whether a request of that size needs nothing of the driver.
  func hasCached(bytes: Int) -> Bool { !free[Self.sizeClass(bytes: bytes).index].isEmpty }

  mutating func take(bytes: Int) throws -> cl_mem {
    let (index, size) = Self.sizeClass(bytes: bytes)
    let buffer: cl_mem
    if let cached = free[index].popLast() {
      hits += 1
      bytesCached -= size
      buffer = cached
    } else {
      buffer = try create(bytes: size)
      allocations += 1
    }
    bytesInUse += size
    peakBytesInUse = max(peakBytesInUse, bytesInUse)
    return buffer
  }

  mutating func give(_ buffer: cl_mem, bytes: Int) {
    let (index, size) = Self.sizeClass(bytes: bytes)
    free[index].append(buffer)
    bytesInUse -= size
    bytesCached += size
  }

  /// Releases every cached buffer.
  mutating func trim() {
    for index in free.indices {
      for buffer in free[index] { clReleaseMemObject(buffer) }
      free[index].removeAll()
    }
    bytesCached = 0
  }

  /// A failed allocation is tried once more after the cached buffers were released.
  private mutating func create(bytes: Int) throws -> cl_mem {
    var status: cl_int = 0
    for attempt in 0..<2 {
      let buffer = clCreateBuffer(
        context, cl_mem_flags(CL_MEM_READ_WRITE), bytes, nil, &status)
      if let buffer, status == CL_SUCCESS { return buffer }
      if attempt == 0 { trim() }
    }
    throw ApusError(
      .outOfMemory, operation: "opencl",
      """
      no device memory for \(bytes) bytes (\(statusName(status))); \(bytesInUse) bytes are in use; \
      use a smaller batch or model
      """)
  }
}

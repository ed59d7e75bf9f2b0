import ApusDevice
import COpenCL

/// A caching pool of device buffers in size classes; all calls happen under the device's lock.
///
/// A buffer goes back the moment its last owner dies, while commands that use it may still wait
/// in the queue: the queue is in order, so whatever the next owner enqueues runs after them. What is kept
/// goes back to the driver when the limit is near or the driver has no more.
struct BufferPool {
  private let context: cl_context
  private let device: String
  /// The largest buffer that the driver makes.
  private let largest: Int
  /// Of what is in use and kept together; nil for what the driver gives.
  private(set) var limit: Int?
  private var free: [[cl_mem]] = Array(repeating: [], count: Self.classCount)
  private(set) var allocations = 0
  private(set) var hits = 0
  private(set) var bytesInUse = 0
  private(set) var peakBytesInUse = 0
  private(set) var bytesCached = 0

  private(set) var returns = 0

  init(context: cl_context, device: String, largest: Int) {
    self.context = context
    self.device = device
    self.largest = largest
  }

  mutating func setLimit(_ byteCount: Int?) {
    limit = byteCount
    if let byteCount, bytesInUse + bytesCached > byteCount { trim() }
  }

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

  /// Whether a request that failed may succeed later, when the driver has more.
  func mayRecover(bytes: Int) -> Bool {
    let size = Self.sizeClass(bytes: bytes).bytes
    return bytes <= largest && (limit.map { size <= $0 - bytesInUse } ?? true)
  }

  mutating func take(bytes: Int) throws -> cl_mem {
    if bytes > largest {
      throw shortage(bytes, "the largest buffer of the device has \(ByteSize(largest))")
    }
    let (index, size) = Self.sizeClass(bytes: bytes)
    let buffer: cl_mem
    if let cached = free[index].popLast() {
      hits += 1
      bytesCached -= size
      buffer = cached
    } else {
      buffer = try create(bytes: min(size, max(largest, bytes)))
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
    if bytesCached > 0 { returns += 1 }
    for index in free.indices {
      for buffer in free[index] { clReleaseMemObject(buffer) }
      free[index].removeAll()
    }
    bytesCached = 0
  }

  /// A failed allocation is tried once more after the cached buffers were released.
  private mutating func create(bytes: Int) throws -> cl_mem {
    if let limit, bytes > limit - bytesInUse - bytesCached {
      trim()
      if bytes > limit - bytesInUse { throw shortage(bytes, "") }
    }
    var status: cl_int = 0
    for attempt in 0..<2 {
      let buffer = clCreateBuffer(
        context, cl_mem_flags(CL_MEM_READ_WRITE), bytes, nil, &status)
      if let buffer, status == CL_SUCCESS { return buffer }
      if attempt == 0 { trim() }
    }
    throw shortage(bytes, statusName(status))
  }

  private func shortage(_ bytes: Int, _ reason: String) -> ApusError {
    MemoryShortage(device: device, asked: bytes, inUse: bytesInUse, limit: limit, reason: reason)
      .error
  }
}

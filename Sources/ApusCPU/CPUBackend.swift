import ApusDevice
import CBLAS
import CVector
import Foundation
import Synchronization

/// The processor: OpenBLAS for matrix products, vector loops and a thread pool of our own for the
/// rest.
///
/// A command is carried out by the time `enqueue` returns, on all cores where that pays, so the order
/// of commands is the order of calls, and errors are thrown at once. Only element-wise commands on long
/// operands wait for each other (`ElementwiseChain`), until anything else looks at memory. Results do
/// not depend on timing: work is cut at places that follow from its size alone.
public final class CPUBackend: Backend {
  public let info: DeviceInfo
  public var prefersChannelsLast: Bool { true }
  let memory: MemoryPool
  private let launches = Atomic<Int>(0)
  private let synchronizations = Atomic<Int>(0)

  /// - Throws: `ApusError` when the pool's own bookkeeping finds no memory.
  public init() throws {
    let byteCount = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    memory = try MemoryPool(limit: byteCount)
    // Threads are ours: OpenBLAS is called from several of them, each on its part of a product.
    openblas_set_num_threads(1)
    let processor = Processor()
    info = DeviceInfo(
      name: "cpu", product: processor.name, vendor: processor.vendor,
      driver: String(cString: openblas_get_config()), kind: .cpu,
      computeUnits: Int(apus_thread_count()), memoryByteCount: byteCount)
  }

  public var counters: DeviceCounters {
    let read = memory.counters
    var counters = DeviceCounters()
    counters.allocations = read.allocations
    counters.poolHits = read.pool_hits
    counters.bytesInUse = read.bytes_in_use
    counters.peakBytesInUse = read.peak_bytes_in_use
    counters.bytesCached = read.bytes_cached
    counters.returns = read.returns
    counters.launches = launches.load(ordering: .relaxed)
    counters.synchronizations = synchronizations.load(ordering: .relaxed)
    return counters
  }

  public func limitMemory(to byteCount: Int?) { memory.limit(to: byteCount) }

  public func allocate(byteCount: Int) throws -> Storage {
    CPUStorage(block: try memory.take(byteCount), byteCount: byteCount, memory: memory)
  }

  public func upload(
    _ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int
  ) throws {
    let target = try block(storage)
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    try checkRange(byteOffset, bytes.count, storage, "upload")
    (target + byteOffset).copyMemory(from: source, byteCount: bytes.count)
  }

  public func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws {
    let source = try block(storage)
    synchronizations.add(1, ordering: .relaxed)
    guard let target = bytes.baseAddress, bytes.count > 0 else { return }
    try checkRange(byteOffset, bytes.count, storage, "download")
    target.copyMemory(from: source + byteOffset, byteCount: bytes.count)
  }

  public func synchronize() throws {
    memory.chain.run()
    synchronizations.add(1, ordering: .relaxed)
  }

  public func enqueue(_ command: Command) throws {
    launches.add(1, ordering: .relaxed)
    do {
      if try joins(command) { return }
      try perform(command)
    } catch let error as ApusError {
      throw error.asking(for: command.operation.name)
    }
  }

  private func checkRange(_ offset: Int, _ count: Int, _ storage: Storage, _ name: String) throws {
    guard offset >= 0, offset <= storage.byteCount, count <= storage.byteCount - offset else {
      throw ApusError(
        .value, operation: name,
        "\(count) bytes at byte \(offset) lie outside a storage of \(storage.byteCount) bytes")
    }
  }
}

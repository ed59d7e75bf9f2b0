import ApusDevice
import Foundation

/// The oracle: every primitive as a naive loop in `Double`, rounded once to the output's type, and
/// every fused operation composed of them. Made to be obviously right, not fast.
///
/// Commands run at once on the calling thread, so a failure is thrown by `enqueue` itself.
public final class ReferenceBackend: Backend {
  private let pool = ReferencePool()
  /// Held while memory is read or written, which puts commands of several threads in an order.
  private let order = NSLock()

  public init() {}

  public var info: DeviceInfo {
    DeviceInfo(
      name: "reference", product: "naive loops in Double", vendor: "Apus", driver: "1",
      kind: .reference, computeUnits: 1,
      memoryByteCount: Int(clamping: ProcessInfo.processInfo.physicalMemory))
  }

  public var counters: DeviceCounters { pool.counters }

  public func limitMemory(to byteCount: Int?) { pool.limitMemory(to: byteCount) }

  public func allocate(byteCount: Int) throws -> Storage { try pool.take(byteCount) }

  public func upload(
    _ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int
  ) throws {
    let target = try base(storage, byteOffset, bytes.count, "upload")
    guard let source = bytes.baseAddress else { return }
    order.withLock { target.copyMemory(from: source, byteCount: bytes.count) }
  }

  public func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws {
    let source = try base(storage, byteOffset, bytes.count, "download")
    pool.count(synchronizations: 1)
    guard let target = bytes.baseAddress else { return }
    order.withLock { target.copyMemory(from: source, byteCount: bytes.count) }
  }

  public func synchronize() throws { pool.count(synchronizations: 1) }

  public func enqueue(_ command: Command) throws {
    do {
      if command.operation.isFused { return try compose(command) }
      pool.count(launches: 1)
      try order.withLock { try run(command) }
    } catch let error as ApusError {
      throw error.asking(for: command.operation.name)
    }
  }

  // MARK: Elements

  /// All elements of the operand, row-major.
  func read(_ operand: Operand) throws -> [Double] {
    elements(of: operand, at: try base(operand))
  }

  func write(_ values: [Double], to operand: Operand) throws {
    store(values, in: operand, at: try base(operand))
  }

  func moveBits(_ x: Operand, to out: Operand) throws {
    move(x, at: try base(x), to: out, at: try base(out))
  }

  private func base(_ operand: Operand) throws -> UnsafeMutableRawPointer {
    let size = operand.dtype.byteCount
    return try base(operand.storage, 0, operand.layout.end * size, "enqueue")
  }

  private func base(
    _ storage: Storage, _ offset: Int, _ byteCount: Int, _ operation: String
  ) throws -> UnsafeMutableRawPointer {
    guard let own = storage as? ReferenceStorage, own.pool === pool else {
      throw ApusError(
        .device, operation: operation,
        "a tensor of another device reached 'reference'; move it with `to(device)` first")
    }
    let (end, overflow) = offset.addingReportingOverflow(byteCount)
    guard offset >= 0, byteCount >= 0, !overflow, end <= own.byteCount else {
      throw ApusError(
        .value, operation: operation,
        "bytes \(offset)..<\(end) lie outside a storage of \(own.byteCount) bytes")
    }
    return own.base + offset
  }
}

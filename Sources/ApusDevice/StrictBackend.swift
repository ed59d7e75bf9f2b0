import Synchronization

/// A device that proves that its operations stay on it.
///
/// Every operand must be its own, and while an operation is enqueued the device may neither be waited for
/// nor read: an operation that did part of its work on the host would have to. Such an operation throws,
/// naming itself. Tensors of the wrapped device and of the wrapper are the same.
///
/// ```swift
/// let strict = Device(StrictBackend(device.backend))
/// ```
public final class StrictBackend: Backend {
  private let target: any Backend
  private let checked = Atomic<Int>(0)
  /// One command at a time, so that waits between can be told from waits within.
  private let order = Mutex<Void>(())

  public init(_ target: any Backend) { self.target = target }

  /// Operations that were found to stay on the device.
  public var checkedCount: Int { checked.load(ordering: .relaxed) }

  public var info: DeviceInfo { target.info }
  public var counters: DeviceCounters { target.counters }
  public var prefersChannelsLast: Bool { target.prefersChannelsLast }
  public var matrixPrecision: MatrixPrecision { target.matrixPrecision }
  public func setMatrixPrecision(_ precision: MatrixPrecision) throws {
    try order.withLock { _ in try target.setMatrixPrecision(precision) }
  }
  public func limitMemory(to byteCount: Int?) { target.limitMemory(to: byteCount) }
  public func allocate(byteCount: Int) throws -> Storage {
    try target.allocate(byteCount: byteCount)
  }
  public func upload(_ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int) throws {
    try order.withLock { _ in try target.upload(bytes, to: storage, byteOffset: byteOffset) }
  }
  public func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws {
    try order.withLock { _ in
      try target.download(storage, byteOffset: byteOffset, into: bytes)
    }
  }
  public func synchronize() throws { try order.withLock { _ in try target.synchronize() } }

  public func enqueue(_ command: Command) throws {
    try order.withLock { _ in
      let before = target.counters.synchronizations
      try target.enqueue(command)
      let waits = target.counters.synchronizations - before
      guard waits == 0 else {
        throw ApusError(
          .device, operation: command.operation.name,
          "left '\(info.name)': the host waited for it \(waits) times while the operation was enqueued"
        )
      }
      checked.add(1, ordering: .relaxed)
    }
  }
}

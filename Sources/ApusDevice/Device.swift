/// A device that tensors live on; two devices are equal when they are the same one.
public final class Device: Sendable, Hashable, CustomStringConvertible {
  public let backend: any Backend
  public let info: DeviceInfo

  public init(_ backend: any Backend) {
    self.backend = backend
    self.info = backend.info
  }

  /// The name a user selects it by, such as `cpu` or `opencl:0`.
  public var name: String { info.name }

  public var counters: DeviceCounters { backend.counters }

  /// Limits what tensors of this device, and the memory kept for reuse, may take together; nil lifts
  /// the limit.
  public func limitMemory(to byteCount: Int?) { backend.limitMemory(to: byteCount) }

  /// Waits until all work enqueued so far is done.
  /// - Throws: `ApusError` of the first failure among that work.
  public func synchronize() throws { try backend.synchronize() }

  public var description: String { name }

  public static func == (a: Device, b: Device) -> Bool { a === b }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

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

  /// How exactly products of matrices are computed; true `float32` unless asked otherwise.
  public var matrixPrecision: MatrixPrecision { backend.matrixPrecision }

  /// Computes products of matrices in a precision from now on, in exchange for speed.
  ///
  /// ```swift
  /// let device = try Devices.named("opencl:0")
  /// try device.setMatrixPrecision(.tf32)
  /// ```
  ///
  /// Before it agrees, the device compares small products with the reference.
  /// - Throws: `ApusError` where the device cannot, naming what is missing; nothing has changed then.
  public func setMatrixPrecision(_ precision: MatrixPrecision) throws {
    try backend.setMatrixPrecision(precision)
  }

  /// Waits until all work enqueued so far is done.
  /// - Throws: `ApusError` of the first failure among that work.
  public func synchronize() throws { try backend.synchronize() }

  public var description: String { name }

  public static func == (a: Device, b: Device) -> Bool { a === b }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

import ApusDevice
import COpenCL

/// A device of an installed OpenCL platform, computing with the kernels under `Kernels/OpenCL`.
///
/// Commands are enqueued on one in-order queue and never awaited; what goes wrong in enqueued work is
/// thrown by the next `download` or `synchronize`.
public final class OpenCLBackend: Backend {
  public let info: DeviceInfo
  /// What the driver says of the device.
  public let description: OpenCLDeviceDescription
  let runtime: Runtime

  /// Opens device `index` in the order of ``devices()``: GPUs first.
  /// - Parameter kind: which kernels it runs; nil for those that suit it.
  /// - Throws: `ApusError` when there is no platform, no device, or fewer devices.
  public init(index: Int = 0, kind: OpenCLDeviceDescription.Kind? = nil) throws {
    let found = try discoverDevices()
    guard found.indices.contains(index) else {
      throw deviceError(
        """
        there is no device 'opencl:\(index)'; this machine has \
        \(found.indices.map { "'opencl:\($0)'" }.joined(separator: ", "))
        """)
    }
    runtime = try Runtime(found[index], kind: kind)
    description = runtime.description
    info = Self.info(description, index: index)
  }

  /// Every device of every platform, GPUs first; element `N` is `opencl:N`.
  /// - Throws: `ApusError` that says what to install when there is no platform.
  public static func devices() throws -> [DeviceInfo] {
    try discoverDevices().enumerated().map { index, found in
      info(try OpenCLDeviceDescription(found), index: index)
    }
  }

  private static func info(_ description: OpenCLDeviceDescription, index: Int) -> DeviceInfo {
    DeviceInfo(
      name: "opencl:\(index)", product: description.name, vendor: description.vendor,
      driver: "\(description.platformName) \(description.driverVersion)",
      kind: description.kind == .gpu ? .gpu : .cpu, computeUnits: description.computeUnits,
      memoryByteCount: description.globalMemory)
  }

  public var counters: DeviceCounters { runtime.counters }

  /// Kernels read runs of channels, so a pixel is one load.
  public var prefersChannelsLast: Bool { true }

  public func allocate(byteCount: Int) throws -> Storage {
    OpenCLStorage(
      buffer: try runtime.allocate(bytes: byteCount), byteCount: byteCount, runtime: runtime)
  }

  public func upload(
    _ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int
  ) throws {
    try runtime.upload(bytes, to: buffer(storage), at: byteOffset)
  }

  public func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws {
    try runtime.download(buffer(storage), at: byteOffset, into: bytes)
  }

  public func synchronize() throws { try runtime.synchronize() }

  /// The device's buffer behind a storage.
  /// - Throws: `ApusError` when the storage belongs to another device.
  @inline(__always)
  func buffer(_ storage: Storage) throws -> cl_mem {
    guard let own = storage as? OpenCLStorage, own.runtime === runtime else {
      throw deviceError(
        "a tensor of another device reached '\(info.name)'; move it with `to(device)` first")
    }
    return own.buffer
  }

  @inline(__always)
  func buffer(_ operand: Operand) throws -> cl_mem { try buffer(operand.storage) }
}

/// A buffer of the pool, given back when its last owner dies.
// @unchecked: both properties are immutable; the pool takes buffers back under its lock.
final class OpenCLStorage: Storage, @unchecked Sendable {
  let buffer: cl_mem
  let runtime: Runtime

  init(buffer: cl_mem, byteCount: Int, runtime: Runtime) {
    self.buffer = buffer
    self.runtime = runtime
    super.init(byteCount: byteCount)
  }

  deinit { runtime.release(buffer, bytes: byteCount) }
}

import ApusDevice
import COpenCL
import Foundation
import Synchronization

/// A device of an installed OpenCL platform, computing with the kernels under `Kernels/OpenCL`.
///
/// Commands are enqueued on one in-order queue and never awaited; what goes wrong in enqueued work is
/// thrown by the next `download` or `synchronize`.
public final class OpenCLBackend: Backend {
  public let info: DeviceInfo
  /// What the driver says of the device.
  public let description: OpenCLDeviceDescription
  let runtime: Runtime
  /// What the tuner found on this device.
  package let tuning: TuningTable
  let lightTuner: LightTuner?
  let precisions = Mutex(MatrixPrecisions())

  /// Opens device `index` in the order of ``devices()``: GPUs first.
  /// - Parameters:
  ///   - kind: Which kernels it runs; nil for those that suit it.
  ///   - limits: Limits to keep below those of the device.
  ///   - cacheFolder: Where built programs and what the tuner found are kept; nil for the user's cache.
  ///   - tunesLightly: Whether products are tuned while the program runs, to the same bits.
  ///   - optimizes: Whether the driver's compiler optimises; without, a driver whose optimiser is wrong
  ///     computes right.
  /// - Throws: `ApusError` when there is no platform, no device, or fewer devices.
  public convenience init(
    index: Int = 0, kind: OpenCLDeviceDescription.Kind? = nil, optimizes: Bool = true,
    limits: OpenCLLimits = OpenCLLimits(), cacheFolder: String? = nil,
    tunesLightly: Bool = OpenCLBackend.tunesLightly
  ) throws {
    try self.init(
      index: index, kind: kind, optimizes: optimizes, limits: limits, cacheFolder: cacheFolder,
      tunesLightly: tunesLightly, tensorCores: TensorCores.ofEnvironment)
  }

  /// The same, where a test says by what products below float32 are computed.
  package init(
    index: Int = 0, kind: OpenCLDeviceDescription.Kind? = nil, optimizes: Bool = true,
    limits: OpenCLLimits = OpenCLLimits(), cacheFolder: String? = nil, tunesLightly: Bool = false,
    tensorCores: TensorCores
  ) throws {
    let found = try discoverDevices()
    guard found.indices.contains(index) else {
      throw deviceError(
        """
        there is no device 'opencl:\(index)'; this machine has \
        \(found.indices.map { "'opencl:\($0)'" }.joined(separator: ", "))
        """)
    }
    let cache = ProgramCache(root: cacheFolder)
    runtime = try Runtime(
      found[index], name: "opencl:\(index)", kind: kind, optimizes: optimizes, limits: limits,
      cache: cache,
      tensorCores: tensorCores)
    description = runtime.description
    tuning = TuningTable(
      description, beside: cache, isEmulated: tensorCores == .emulated)
    lightTuner = tunesLightly ? LightTuner() : nil
    info = Self.info(description, index: index)
  }

  /// Whether the environment asks for tuning while a program runs (`APUS_TUNE=light`).
  public static var tunesLightly: Bool {
    ProcessInfo.processInfo.environment["APUS_TUNE"] == "light"
  }

  /// Opens one of several equal parts of a device, with a queue, memory and units of its own.
  /// - Throws: `ApusError` where the driver cannot part the device.
  package init(part: Int, of count: Int, ofDevice index: Int = 0, cacheFolder: String? = nil) throws
  {
    let found = try discoverDevices()
    guard found.indices.contains(index), (0..<count).contains(part) else {
      throw deviceError("there is no part \(part) of \(count) of 'opencl:\(index)'")
    }
    let parts = try found[index].parts(count)
    guard parts.indices.contains(part) else {
      throw deviceError("the driver made only \(parts.count) parts of 'opencl:\(index)'")
    }
    let cache = ProgramCache(root: cacheFolder)
    runtime = try Runtime(parts[part], name: "opencl:\(index)", cache: cache)
    description = runtime.description
    tuning = TuningTable(description, beside: cache)
    lightTuner = nil
    info = Self.info(description, index: index)
  }

  /// Makes the device fail from now on as a driver does whose device is lost: work is taken and not done,
  /// and each wait throws.
  package func injectFailure() { runtime.injectFailure(CL_OUT_OF_RESOURCES) }

  /// Every device of every platform, GPUs first; element `N` is `opencl:N`.
  /// - Throws: `ApusError` that says what to install when there is no platform.
  public static func devices() throws -> [DeviceInfo] {
    try discoverDevices().enumerated().map { index, found in
      info(try OpenCLDeviceDescription(found), index: index)
    }
  }

  /// What the driver says of every device, in the same order.
  public static func descriptions() throws -> [OpenCLDeviceDescription] {
    try discoverDevices().map { try OpenCLDeviceDescription($0) }
  }

  private static func info(_ description: OpenCLDeviceDescription, index: Int) -> DeviceInfo {
    DeviceInfo(
      name: "opencl:\(index)", product: description.name, vendor: description.vendor,
      driver: "\(description.platformName) \(description.driverVersion)",
      kind: description.type, computeUnits: description.computeUnits,
      memoryByteCount: description.globalMemory)
  }

  public var counters: DeviceCounters { runtime.counters }

  /// Kernels read runs of channels, so a pixel is one load.
  public var prefersChannelsLast: Bool { true }

  public func limitMemory(to byteCount: Int?) { runtime.limitMemory(to: byteCount) }

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

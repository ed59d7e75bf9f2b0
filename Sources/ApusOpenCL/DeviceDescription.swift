import ApusDevice
import COpenCL
import Foundation

/// What an OpenCL device says of itself, read once when the device is opened.
public struct OpenCLDeviceDescription: Sendable {
  /// Which kernel shapes suit a device.
  public enum Kind: String, Sendable {
    /// One work-item per chunk, wide vectors, no local memory, no barriers.
    case cpu
    /// Many small work-items, local memory, coalesced accesses.
    case gpu
  }

  public let name: String
  public let vendor: String
  public let driverVersion: String
  public let platformName: String
  public let platformVersion: String
  /// The kind that selects kernels; `APUS_OPENCL_KIND=cpu|gpu` overrides the device's own.
  public let kind: Kind
  public let computeUnits: Int
  /// In bytes.
  public let globalMemory: Int
  /// The largest buffer, in bytes.
  public let largestAllocation: Int
  /// In bytes, per work-group.
  public let localMemory: Int
  public let largestWorkGroup: Int
  /// Float32 lanes of the native vector registers.
  public let vectorWidth: Int
  public let hasFloat64: Bool

  init(_ found: DiscoveredDevice, kind wanted: Kind? = nil) throws {
    let device = found.device
    name = deviceText(device, CL_DEVICE_NAME)
    vendor = deviceText(device, CL_DEVICE_VENDOR)
    driverVersion = deviceText(device, CL_DRIVER_VERSION)
    platformName = platformText(found.platform, CL_PLATFORM_NAME)
    platformVersion = platformText(found.platform, CL_PLATFORM_VERSION)
    let isCPU = found.type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0
    if let wanted {
      kind = wanted
    } else if let override = ProcessInfo.processInfo.environment["APUS_OPENCL_KIND"],
      !override.isEmpty
    {
      guard let kind = Kind(rawValue: override) else {
        throw deviceError("APUS_OPENCL_KIND is '\(override)'; use 'cpu' or 'gpu'")
      }
      self.kind = kind
    } else {
      kind = isCPU ? .cpu : .gpu
    }
    computeUnits = Int(deviceNumber(device, CL_DEVICE_MAX_COMPUTE_UNITS, as: cl_uint.self) ?? 1)
    func bytes(_ name: cl_int) -> Int {
      Int(clamping: deviceNumber(device, name, as: cl_ulong.self) ?? 0)
    }
    globalMemory = bytes(CL_DEVICE_GLOBAL_MEM_SIZE)
    largestAllocation = bytes(CL_DEVICE_MAX_MEM_ALLOC_SIZE)
    localMemory = bytes(CL_DEVICE_LOCAL_MEM_SIZE)
    largestWorkGroup = deviceNumber(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, as: Int.self) ?? 1
    vectorWidth = Int(
      deviceNumber(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, as: cl_uint.self) ?? 1)
    let extensions = deviceText(device, CL_DEVICE_EXTENSIONS).split(separator: " ")
    hasFloat64 = extensions.contains("cl_khr_fp64")
  }
}

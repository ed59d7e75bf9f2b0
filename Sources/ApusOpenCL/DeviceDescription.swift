import ApusDevice
import COpenCL
import Foundation

/// What an OpenCL device says of itself, read once when the device is opened.
public struct OpenCLDeviceDescription: Sendable, Encodable {
  /// Which kernel shapes suit a device.
  public enum Kind: String, Sendable, Encodable {
    /// One work-item per chunk, wide vectors, no local memory, no barriers.
    case cpu
    /// Many small work-items, local memory, coalesced accesses.
    case gpu
  }

  /// Lanes of the native vector registers by element type; 0 where the device has no such type.
  public struct VectorWidths: Sendable, Encodable, Hashable {
    public let int8, int32, float16, float32, float64: Int
  }

  public let name: String
  public let vendor: String
  public let driverVersion: String
  public let platformName: String
  public let platformVersion: String
  /// What the device is.
  public let type: DeviceInfo.Kind
  /// The kind that selects kernels; `APUS_OPENCL_KIND=cpu|gpu` overrides the device's own. A GPU whose
  /// limits are too small for the kernels of GPUs runs those of CPUs, which ask for less.
  public let kind: Kind
  public let computeUnits: Int
  /// MHz, 0 where unknown.
  public let clockFrequency: Int
  /// In bytes.
  public let globalMemory: Int
  /// The largest buffer, in bytes.
  public let largestAllocation: Int
  /// In bytes, per work-group.
  public let localMemory: Int
  public let largestWorkGroup: Int
  /// Work-items along each dimension of a group.
  public let largestWorkItems: [Int]
  /// Bytes of all arguments of a kernel together.
  public let argumentSize: Int
  /// Bytes, 0 where unknown.
  public let cacheSize: Int
  public let vectorWidths: VectorWidths
  /// Float32 lanes of the native vector registers.
  public var vectorWidth: Int { max(vectorWidths.float32, 1) }
  public let hasFloat16: Bool
  public let hasFloat64: Bool
  /// Whether work-items of a sub-group can exchange values without local memory.
  public let hasSubGroups: Bool
  /// Products of four 8-bit integers summed in one instruction.
  public let hasIntegerDotProduct: Bool
  /// Whether host and device share one memory.
  public let hasUnifiedMemory: Bool
  /// Whether `asm` with PTX compiles, by trying; tensor cores are reached that way. Known for GPUs alone.
  public let hasInlinePTX: Bool
  /// Of an NVIDIA GPU, such as 9.0; nil where the driver does not say.
  public let computeCapability: ComputeCapability?

  /// The version of an NVIDIA GPU's abilities.
  public struct ComputeCapability: Sendable, Encodable, Hashable {
    public let major, minor: Int
  }

  init(
    _ found: DiscoveredDevice, kind wanted: Kind? = nil, limits: OpenCLLimits = OpenCLLimits()
  ) throws {
    let device = found.device
    name = deviceText(device, CL_DEVICE_NAME)
    vendor = deviceText(device, CL_DEVICE_VENDOR)
    driverVersion = deviceText(device, CL_DRIVER_VERSION)
    platformName = platformText(found.platform, CL_PLATFORM_NAME)
    platformVersion = platformText(found.platform, CL_PLATFORM_VERSION)
    func bytes(_ name: cl_int) -> Int {
      Int(clamping: deviceNumber(device, name, as: cl_ulong.self) ?? 0)
    }
    func count(_ name: cl_int) -> Int {
      Int(deviceNumber(device, name, as: cl_uint.self) ?? 0)
    }
    func size(_ name: cl_int) -> Int? { deviceNumber(device, name, as: Int.self) }
    computeUnits = max(count(CL_DEVICE_MAX_COMPUTE_UNITS), 1)
    clockFrequency = count(CL_DEVICE_MAX_CLOCK_FREQUENCY)
    globalMemory = bytes(CL_DEVICE_GLOBAL_MEM_SIZE)
    cacheSize = bytes(CL_DEVICE_GLOBAL_MEM_CACHE_SIZE)
    func lowered(_ value: Int, _ limit: Int?) -> Int { min(value, limit ?? value) }
    largestAllocation = lowered(bytes(CL_DEVICE_MAX_MEM_ALLOC_SIZE), limits.largestAllocation)
    localMemory = lowered(bytes(CL_DEVICE_LOCAL_MEM_SIZE), limits.localMemory)
    largestWorkGroup = lowered(size(CL_DEVICE_MAX_WORK_GROUP_SIZE) ?? 1, limits.largestWorkGroup)
    largestWorkItems = deviceSizes(device, CL_DEVICE_MAX_WORK_ITEM_SIZES)
    // Full profiles have 1024 at least.
    argumentSize = lowered(size(CL_DEVICE_MAX_PARAMETER_SIZE) ?? 1024, limits.argumentSize)
    vectorWidths = VectorWidths(
      int8: count(CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR),
      int32: count(CL_DEVICE_NATIVE_VECTOR_WIDTH_INT),
      float16: count(CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF),
      float32: count(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT),
      float64: count(CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE))
    let extensions = Set(deviceText(device, CL_DEVICE_EXTENSIONS).split(separator: " "))
    hasFloat16 = extensions.contains("cl_khr_fp16")
    hasFloat64 = extensions.contains("cl_khr_fp64")
    hasSubGroups = !extensions.isDisjoint(with: ["cl_khr_subgroups", "cl_intel_subgroups"])
    hasIntegerDotProduct = !extensions.isDisjoint(
      with: ["cl_khr_integer_dot_product", "cl_arm_integer_dot_product_int8"])
    hasUnifiedMemory = count(CL_DEVICE_HOST_UNIFIED_MEMORY) != 0

    let isCPU = found.type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0
    let isGPU = found.type & cl_device_type(CL_DEVICE_TYPE_GPU) != 0
    hasInlinePTX = isGPU && compilesInlinePTX(device)
    // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV and its minor.
    let capability = [cl_int(0x4000), 0x4001].map { deviceNumber(device, $0, as: cl_uint.self) }
    if extensions.contains("cl_nv_device_attribute_query"), let major = capability[0],
      let minor = capability[1]
    {
      computeCapability = ComputeCapability(major: Int(major), minor: Int(minor))
    } else {
      computeCapability = nil
    }
    let forced = try wanted ?? Self.override()
    // Groups of 16 x 16 and 256 work-items, and two tiles of 16 x 128 numbers.
    let suitsGPUKernels =
      largestWorkGroup >= 256 && localMemory >= 32 << 10
      && zip(largestWorkItems, [256, 16]).allSatisfy { $0 >= $1 }
    kind = forced ?? (isCPU || !suitsGPUKernels ? .cpu : .gpu)
    type =
      switch forced {
      case .cpu: .cpu
      case .gpu: .gpu
      case nil: isCPU ? .cpu : isGPU ? .gpu : .accelerator
      }
  }

  private static func override() throws -> Kind? {
    guard let name = ProcessInfo.processInfo.environment["APUS_OPENCL_KIND"], !name.isEmpty else {
      return nil
    }
    guard let kind = Kind(rawValue: name) else {
      throw deviceError("APUS_OPENCL_KIND is '\(name)'; use 'cpu' or 'gpu'")
    }
    return kind
  }
}

/// Limits to keep below those of the device, so that the ways around them can be tested anywhere.
public struct OpenCLLimits: Sendable {
  /// In bytes.
  public var largestAllocation: Int?
  public var localMemory: Int?
  public var argumentSize: Int?
  public var largestWorkGroup: Int?

  public init(
    largestAllocation: Int? = nil, localMemory: Int? = nil, argumentSize: Int? = nil,
    largestWorkGroup: Int? = nil
  ) {
    self.largestAllocation = largestAllocation
    self.localMemory = localMemory
    self.argumentSize = argumentSize
    self.largestWorkGroup = largestWorkGroup
  }
}

private func deviceSizes(_ device: cl_device_id, _ name: cl_int) -> [Int] {
  var values = [Int](repeating: 0, count: 8)
  var size = 0
  let word = MemoryLayout<Int>.size
  guard
    clGetDeviceInfo(device, cl_device_info(name), values.count * word, &values, &size)
      == CL_SUCCESS
  else { return [] }
  return Array(values.prefix(size / word))
}

/// Whether the device's compiler takes PTX; a driver for another instruction set refuses it.
private func compilesInlinePTX(_ device: cl_device_id) -> Bool {
  let source = """
    kernel void lane(global uint *out) {
      uint lane;
      asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
      out[get_global_id(0)] = lane;
    }
    """
  var device: cl_device_id? = device
  var status: cl_int = 0
  guard let context = clCreateContext(nil, 1, &device, nil, nil, &status) else { return false }
  defer { clReleaseContext(context) }
  let program = source.withCString { text in
    var pointer: UnsafePointer<CChar>? = text
    return clCreateProgramWithSource(context, 1, &pointer, nil, &status)
  }
  guard let program else { return false }
  defer { clReleaseProgram(program) }
  return clBuildProgram(program, 1, &device, "", nil, nil) == CL_SUCCESS
}

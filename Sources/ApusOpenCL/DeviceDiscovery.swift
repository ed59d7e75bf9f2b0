import ApusDevice
import COpenCL

/// A device that an installed OpenCL platform offers.
///
/// `@unchecked Sendable`: the identifiers are opaque, never released root devices, and OpenCL
/// allows every call on them from any thread (OpenCL 1.2, appendix A.2).
struct DiscoveredDevice: @unchecked Sendable {
  let platform: cl_platform_id
  let device: cl_device_id
  let type: cl_device_type
  /// Of a part of a device, its index.
  var part: Int?
}

extension DiscoveredDevice {
  /// The device in so many parts of equally many compute units. A part lives as long as the process.
  func parts(_ count: Int) throws -> [DiscoveredDevice] {
    let units = Int(deviceNumber(device, CL_DEVICE_MAX_COMPUTE_UNITS, as: cl_uint.self) ?? 1)
    guard count > 0, units >= count else {
      throw deviceError("a device of \(units) compute units has no \(count) parts")
    }
    var properties = [cl_device_partition_property(CL_DEVICE_PARTITION_EQUALLY), units / count, 0]
    var parts = [cl_device_id?](repeating: nil, count: units / (units / count))
    var made: cl_uint = 0
    try check(
      clCreateSubDevices(device, &properties, cl_uint(parts.count), &parts, &made),
      "clCreateSubDevices")
    return parts.prefix(Int(made)).enumerated().compactMap { index, part in
      part.map { DiscoveredDevice(platform: platform, device: $0, type: type, part: index) }
    }
  }
}

/// All devices of all platforms: GPUs and accelerators first, CPUs last, otherwise in the
/// platforms' own order; `opencl:N` is position N of this list.
func discoverDevices() throws -> [DiscoveredDevice] { try discovery.locked(discoverAlone) }

/// Drivers set their devices up at the first question, and not all of them keep a second thread waiting
/// until that is done: PoCL 3.1 tells it that there are none.
private let discovery = DeviceLock()

/// All platforms, in the loader's order.
/// - Throws: `ApusError` that says what to install when there is none.
func discoverPlatforms() throws -> [cl_platform_id] { try discovery.locked(platformsAlone) }

private func platformsAlone() throws -> [cl_platform_id] {
  var platformCount: cl_uint = 0
  let status = clGetPlatformIDs(0, nil, &platformCount)
  guard status == CL_SUCCESS, platformCount > 0 else {
    throw deviceError(
      """
      no OpenCL platform found (\(statusName(status))); install a driver, for a CPU: \
      apt-get install pocl-opencl-icd, for a GPU: the vendor's OpenCL driver, and check the list \
      of `clinfo -l`
      """)
  }
  var platforms = [cl_platform_id?](repeating: nil, count: Int(platformCount))
  try check(clGetPlatformIDs(platformCount, &platforms, nil), "clGetPlatformIDs")
  return platforms.compactMap { $0 }
}

private func discoverAlone() throws -> [DiscoveredDevice] {
  let platforms = try platformsAlone()
  var found: [DiscoveredDevice] = []
  for platform in platforms {
    var count: cl_uint = 0
    let all = cl_device_type(0xFFFF_FFFF)  // CL_DEVICE_TYPE_ALL
    guard clGetDeviceIDs(platform, all, 0, nil, &count) == CL_SUCCESS, count > 0 else { continue }
    var devices = [cl_device_id?](repeating: nil, count: Int(count))
    try check(clGetDeviceIDs(platform, all, count, &devices, nil), "clGetDeviceIDs")
    for device in devices.compactMap({ $0 }) {
      let type = deviceNumber(device, CL_DEVICE_TYPE, as: cl_device_type.self) ?? 0
      found.append(DiscoveredDevice(platform: platform, device: device, type: type))
    }
  }
  if found.isEmpty {
    throw deviceError(
      "\(platforms.count) OpenCL platform(s) found but no device; check the list of `clinfo -l`")
  }
  let isCPU = { (device: DiscoveredDevice) in device.type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0
  }
  return found.filter { !isCPU($0) } + found.filter(isCPU)
}

func deviceNumber<T: FixedWidthInteger>(
  _ device: cl_device_id, _ name: cl_int, as type: T.Type
) -> T? {
  var value = T.zero
  let status = clGetDeviceInfo(device, cl_device_info(name), MemoryLayout<T>.size, &value, nil)
  return status == CL_SUCCESS ? value : nil
}

func deviceText(_ device: cl_device_id, _ name: cl_int) -> String {
  text { clGetDeviceInfo(device, cl_device_info(name), $0, $1, $2) }
}

func platformText(_ platform: cl_platform_id, _ name: cl_int) -> String {
  text { clGetPlatformInfo(platform, cl_platform_info(name), $0, $1, $2) }
}

/// Asks for a string's length, then for its bytes.
private func text(
  _ ask: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
) -> String {
  var size = 0
  guard ask(0, nil, &size) == CL_SUCCESS, size > 0 else { return "" }
  var bytes = [UInt8](repeating: 0, count: size)
  guard ask(size, &bytes, nil) == CL_SUCCESS else { return "" }
  let trimmed = bytes.prefix { $0 != 0 }.drop { $0 == 32 }
  return String(decoding: trimmed, as: UTF8.self)
}

import COpenCL

/// An installed OpenCL driver and the devices that it offers.
public struct OpenCLPlatform: Sendable {
  /// A device of a platform.
  public struct Device: Sendable {
    /// `N` of its name `opencl:N`.
    public let index: Int
    public let name: String
    public let vendor: String
    public let driverVersion: String

    package init(index: Int, name: String, vendor: String, driverVersion: String) {
      self.index = index
      self.name = name
      self.vendor = vendor
      self.driverVersion = driverVersion
    }
  }

  public let name: String
  public let version: String
  public let devices: [Device]

  package init(name: String, version: String, devices: [Device]) {
    self.name = name
    self.version = version
    self.devices = devices
  }
}

extension OpenCLBackend {
  /// Every platform, also those without a device.
  /// - Throws: `ApusError` that says what to install when there is none.
  public static func platforms() throws -> [OpenCLPlatform] {
    let all = try discoverPlatforms()
    // A machine whose platforms have no devices at all is described, not refused.
    let devices = (try? discoverDevices()) ?? []
    return all.map { platform in
      OpenCLPlatform(
        name: platformText(platform, CL_PLATFORM_NAME),
        version: platformText(platform, CL_PLATFORM_VERSION),
        devices: devices.enumerated().filter { $1.platform == platform }.map { index, found in
          OpenCLPlatform.Device(
            index: index, name: deviceText(found.device, CL_DEVICE_NAME),
            vendor: deviceText(found.device, CL_DEVICE_VENDOR),
            driverVersion: deviceText(found.device, CL_DRIVER_VERSION))
        })
    }
  }
}

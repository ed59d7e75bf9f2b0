import ApusDevice
import ApusOpenCL

extension Doctor {
  /// The platforms that the drivers make, and whether their devices compute.
  /// - Parameter drivers: What was found of the drivers.
  func platforms(_ drivers: [Finding]) -> [Finding] {
    let found: [OpenCLPlatform]
    do {
      found = try surroundings.platforms()
    } catch {
      // One remedy for one cause.
      if let cause = drivers.first(where: { $0.level == .problem }) {
        return [
          Finding(
            "OpenCL platforms", .problem, "there is none, for the reason above",
            remedy: cause.remedy)
        ]
      }
      let message = (error as? ApusError)?.message ?? "\(error)"
      return [Finding("OpenCL platforms", .problem, message, remedy: driverRemedy)]
    }
    let isAlone = found.allSatisfy(\.devices.isEmpty)
    return found.flatMap { platform -> [Finding] in
      let name = "\(platform.name) (\(platform.version))"
      if platform.devices.isEmpty { return [withoutDevice(platform, name, isAlone: isAlone)] }
      return platform.devices.map { device -> Finding in
        let text = "\(device.name), driver \(device.driverVersion) of \(name)"
        do {
          try surroundings.tryDevice(device.index)
          return Finding("opencl:\(device.index)", .ok, "\(text), computes")
        } catch {
          let message = (error as? ApusError)?.message ?? "\(error)"
          return Finding(
            "opencl:\(device.index)", .problem, "\(text): \(message)",
            remedy: isKindUnknown
              ? "unset APUS_OPENCL_KIND" : "apus selftest --device opencl:\(device.index)")
        }
      }
    }
  }

  /// - Parameter isAlone: Whether no other platform has a device.
  private func withoutDevice(_ platform: OpenCLPlatform, _ name: String, isAlone: Bool) -> Finding {
    let subject = "OpenCL platforms"
    let sign = platform.name.lowercased()
    // Mesa's driver offers a device only where one is asked for.
    if sign.contains("rusticl") {
      return Finding(
        subject, .note, "\(name) has no device",
        remedy: "export RUSTICL_ENABLE=llvmpipe  # or radeonsi, iris")
    }
    // An empty variable hides devices too.
    let hiding = Self.hiding.first { sign.contains($0.sign) }?.variables
      .first { surroundings.environment[$0] != nil }
    if let hiding {
      let value = surroundings.environment[hiding] ?? ""
      return Finding(
        subject, .problem, "\(name) has no device where \(hiding) is '\(value)'",
        remedy: "unset \(hiding)")
    }
    if sign.contains("portable computing language") {
      return Finding(subject, .problem, "\(name) has no device", remedy: driverRemedy)
    }
    if isAlone {
      return Finding(
        subject, .problem, "\(name) has no device",
        remedy: "sudo apt-get install pocl-opencl-icd  # makes the processor one")
    }
    return Finding(
      subject, .note, "\(name) has no device; its hardware is not here, or its rights are missing")
  }

  /// Variables by which drivers hide devices.
  private static let hiding: [(sign: String, variables: [String])] = [
    ("portable computing language", ["POCL_DEVICES"]),
    ("nvidia", ["CUDA_VISIBLE_DEVICES"]),
    ("amd", ["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"]),
    ("intel", ["ZE_AFFINITY_MASK"]),
  ]

  /// Whether `APUS_OPENCL_KIND` names no kind of kernels, which every device refuses.
  var isKindUnknown: Bool {
    surroundings.value("APUS_OPENCL_KIND").map { $0 != "cpu" && $0 != "gpu" } ?? false
  }
}

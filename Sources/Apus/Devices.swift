import ApusCPU
import ApusDevice
import ApusOpenCL
import ApusReference

/// The devices of this machine, by the names that users select them by: `auto`, `cpu`, `opencl` (the
/// same as `opencl:0`), `opencl:N`, `reference`.
public enum Devices {
  /// Opens a device.
  /// - Throws: `ApusError` for an unknown name (it lists the known ones) or a device that is not
  ///   there (it says what to install). There is never a silent fallback to another device.
  public static func named(_ name: String) throws -> Device {
    switch name {
    case "auto": return try automatic().device
    case "cpu": return Device(try CPUBackend())
    case "reference": return Device(ReferenceBackend())
    case "opencl": return Device(try OpenCLBackend(index: 0))
    default:
      if name.hasPrefix("opencl:"), let index = Int(name.dropFirst(7)), index >= 0 {
        return Device(try OpenCLBackend(index: index))
      }
      throw ApusError(
        .device, operation: "device",
        "'\(name)' is unknown; use auto, cpu, opencl, opencl:N or reference "
          + "(`apus devices` lists what this machine has)")
    }
  }

  /// The same device once more, whose driver compiles kernels without optimising them: slow, and right
  /// where only the driver's optimiser is wrong. Nil for devices that compile nothing.
  package static func unoptimized(_ name: String) throws -> Device? {
    guard name.hasPrefix("opencl:"), let index = Int(name.dropFirst(7)) else { return nil }
    return Device(try OpenCLBackend(index: index, optimizes: false))
  }

  /// The best device and why: the first GPU if measured products are faster on it than on the processor,
  /// else the processor. Measured once per machine.
  public static func automatic() throws -> (device: Device, reason: String) {
    let found: [DeviceInfo]
    do {
      found = try OpenCLBackend.devices()
    } catch {
      return (try named("cpu"), "no OpenCL device was found, so the processor computes by BLAS")
    }
    if let index = found.firstIndex(where: { $0.kind == .gpu }) {
      let (card, processor) = (try named("opencl:\(index)"), try named("cpu"))
      let placement = try Placement.kept(found[index], card, beside: processor)
      return (placement.choice == "cpu" ? processor : card, placement.reason)
    }
    return (
      try named("cpu"),
      "the \(found.count == 1 ? "only OpenCL device is" : "OpenCL devices are") no GPU, "
        + "so the processor computes by BLAS"
    )
  }

  /// The best device that computes matrix products in a precision, and why: below `float32` the first
  /// that can.
  /// - Throws: `ApusError` where none can, with what the last one lacks.
  public static func automatic(_ precision: MatrixPrecision) throws -> (
    device: Device, reason: String
  ) {
    if precision == .float32 { return try automatic() }
    // GPUs come first among OpenCL devices.
    let names = ["cpu"] + ((try? OpenCLBackend.devices()) ?? []).map(\.name)
    var failure: ApusError?
    for name in names {
      let device = try named(name)
      do {
        try device.setMatrixPrecision(precision)
        return (device, "the first device that computes products in \(precision.rawValue)")
      } catch let error as ApusError { failure = error }
    }
    throw ApusError(
      .device, operation: "precision",
      "none of \(names.joined(separator: ", ")) computes matrix products in \(precision.rawValue). "
        + (failure?.message ?? ""))
  }

  /// What each device of this machine says of itself. OpenCL devices are missing where there is no
  /// platform; ``openCLProblem()`` tells why.
  public static func list() throws -> [DeviceInfo] {
    let openCL = (try? OpenCLBackend.devices()) ?? []
    return [try CPUBackend().info] + openCL + [ReferenceBackend().info]
  }

  /// What the driver of an OpenCL device says of it; nil for other devices.
  public static func capabilities(of name: String) -> OpenCLDeviceDescription? {
    guard name.hasPrefix("opencl:"), let index = Int(name.dropFirst(7)),
      let all = try? OpenCLBackend.descriptions(), all.indices.contains(index)
    else { return nil }
    return all[index]
  }

  /// Why there is no OpenCL device, nil where there is one.
  public static func openCLProblem() -> ApusError? {
    do {
      _ = try OpenCLBackend.devices()
      return nil
    } catch {
      return error as? ApusError
        ?? ApusError(.device, operation: "opencl", "\(error)")
    }
  }
}

import ApusCPU
import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

/// A device that every case runs on.
struct DeviceUnderTest: Sendable, CustomTestStringConvertible {
  let name: String
  let backend: any Backend
  var precision = MatrixPrecision.float32

  var testDescription: String { name }

  /// The reference, the CPU, and each OpenCL device; one that is a CPU comes twice, with the kernels
  /// for CPUs and with those for GPUs.
  static let all: [DeviceUnderTest] = opened.compactMap { try? $0.get() }
  static let failures: [String] = opened.compactMap {
    if case .failure(let error) = $0 { "\(error)" } else { nil }
  }

  /// Set to `reference`, `cpu`, `opencl:0`, … to test these alone, separated by commas.
  private static let selection = ProcessInfo.processInfo.environment["APUS_TEST_DEVICES"]
    .map { Set($0.split(separator: ",").map(String.init)) }

  private static let opened = both.0
  /// Opened once more for tests that provoke errors: an error of enqueued work reaches whoever waits
  /// next, which must not be another test.
  static let isolated: [DeviceUnderTest] = both.1.compactMap { try? $0.get() }

  // Made at one moment, before any test runs: making it changes the environment.
  private static let both = (open(), open())

  /// The kernels for tensor cores, emulated, on the first OpenCL device.
  static let rounding: [DeviceUnderTest] = [MatrixPrecision.tf32, .bfloat16].compactMap {
    precision in
    let name = "opencl:0 gpu kernels \(precision.rawValue)"
    guard selection?.contains(name) != false,
      let device = try? OpenCLBackend(kind: .gpu, tensorCores: .emulated)
    else { return nil }
    return DeviceUnderTest(name: name, backend: device, precision: precision)
  }

  private static func open() -> [Result<DeviceUnderTest, any Error>] {
    var result: [Result<DeviceUnderTest, any Error>] = []
    func open(_ name: String, _ make: () throws -> any Backend) {
      if let selection, !selection.contains(name) { return }
      result.append(Result { DeviceUnderTest(name: name, backend: try make()) })
    }
    open("reference") { ReferenceBackend() }
    open("cpu") { try CPUBackend() }
    let kind = "APUS_OPENCL_KIND"
    let own = ProcessInfo.processInfo.environment[kind]
    for (index, info) in ((try? OpenCLBackend.devices()) ?? []).enumerated() {
      open("opencl:\(index)") { try OpenCLBackend(index: index) }
      guard own == nil, info.kind == .cpu else { continue }
      // Read when a device is opened; nothing else runs while this list is made.
      setenv(kind, "gpu", 1)
      open("opencl:\(index) gpu kernels") { try OpenCLBackend(index: index) }
      unsetenv(kind)
    }
    return result
  }
}

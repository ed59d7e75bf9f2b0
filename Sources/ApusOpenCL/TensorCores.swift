import ApusDevice
import Foundation
import Synchronization

/// Where products in a precision below float32 are computed: by the tensor cores of an NVIDIA GPU.
package enum TensorCores: Sendable {
  /// Those of the device, if it has any.
  case own
  /// For tests: the kernels compute the mathematics of the instructions instead, roundings included,
  /// exchanged among the 32 items of a warp through local memory. Everything else in the kernels is the
  /// same, so their indices can be checked on any device and in a simulator. Slower than float32, and of no
  /// other use. Users get there by `APUS_EMULATE_TENSOR_CORES=1` alone.
  case emulated
  /// For tests of a driver that refuses the kernels: the device is not asked whether it has them.
  case assumed

  static var ofEnvironment: TensorCores {
    ProcessInfo.processInfo.environment["APUS_EMULATE_TENSOR_CORES"] == "1" ? .emulated : .own
  }

  /// What a device lacks, nil where it may have all: then a proof decides.
  func obstacle(_ device: OpenCLDeviceDescription) -> String? {
    let needs = "inline PTX on an NVIDIA GPU of compute capability 8.0 or higher"
    if device.kind == .cpu {
      return "that takes \(needs), and \(device.name) runs the kernels of processors"
    }
    guard self == .own else { return nil }
    if !device.hasInlinePTX {
      return "that takes \(needs), and the driver of \(device.name) compiles no inline PTX"
    }
    if let capability = device.computeCapability, capability.major < 8 {
      return "that takes \(needs), and \(device.name) has \(capability.major).\(capability.minor)"
    }
    return nil
  }
}

/// The precision of a device's products, and those that it was found to compute right.
struct MatrixPrecisions {
  var current = MatrixPrecision.float32
  var proven: Set<MatrixPrecision> = []
}

extension OpenCLBackend {
  public var matrixPrecision: MatrixPrecision { precisions.withLock { $0.current } }

  public func setMatrixPrecision(_ precision: MatrixPrecision) throws {
    if precision != .float32 && !precisions.withLock({ $0.proven.contains(precision) }) {
      if let obstacle = runtime.tensorCores.obstacle(description) {
        throw ApusError.missing(precision, on: info.name, obstacle)
      }
      try prove(precision)
    }
    precisions.withLock {
      $0.proven.insert(precision)
      $0.current = precision
    }
  }

  /// Compares small products with sums in Double of operands that the host has rounded.
  private func prove(_ precision: MatrixPrecision) throws {
    for proof in ProductProof.all {
      let got: [Float]
      do { got = try proof.result(precision, on: self) } catch {
        throw ApusError.missing(
          precision, on: info.name,
          "the driver of \(description.name) does not compile or run the kernel. \(error)")
      }
      if let problem = proof.problem(with: got, precision) {
        throw ApusError.missing(
          precision, on: info.name, "the driver of \(description.name) computes wrongly, \(problem)"
        )
      }
    }
  }
}

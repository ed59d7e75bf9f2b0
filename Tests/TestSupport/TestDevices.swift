import Apus
import ApusReference
import Foundation

/// The devices that tests run on: all that this machine has.
public enum TestDevices {
  /// Opened once; device objects are immutable and safe to share.
  public static let all: [Device] = ["reference", "cpu", "opencl"].compactMap {
    try? Devices.named($0)
  }

  /// All but the naive one, for larger work.
  public static let fast: [Device] = all.filter { $0.name != "reference" }

  public static let reference = Device(ReferenceBackend())
}

import ApusData
import ApusDevice
import ApusTensor

extension Tensor {
  /// An array of the host on a device.
  public init(_ array: HostArray, on device: Device) throws {
    self = try array.bytes.withUnsafeBytes {
      try Tensor(bytes: $0, shape: array.shape, dtype: array.dtype, on: device)
    }
  }

  /// The elements on the host. Waits for the device.
  public func hostArray() throws -> HostArray {
    try HostArray(shape: shape, dtype: dtype, bytes: bytes())
  }

  /// Reads a `.npy` file.
  /// - Throws: `ApusError` naming the file and what is wrong with it.
  public static func load(npy path: String, on device: Device) throws -> Tensor {
    try Tensor(NPY.read(path), on: device)
  }

  /// Writes a `.npy` file, atomically.
  public func save(npy path: String) throws { try NPY.write(hostArray(), to: path) }

  /// Reads every array of an `.npz` archive by name.
  public static func load(npz path: String, on device: Device) throws -> [String: Tensor] {
    try NPZ.read(path).mapValues { try Tensor($0, on: device) }
  }

  /// Writes tensors by name into an `.npz` archive, atomically.
  public static func save(_ tensors: [String: Tensor], npz path: String) throws {
    try NPZ.write(tensors.mapValues { try $0.hostArray() }, to: path)
  }
}

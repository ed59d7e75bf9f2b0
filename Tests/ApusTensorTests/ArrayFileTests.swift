import Apus
import Foundation
import TestSupport
import Testing

struct ArrayFileTests {
  @Test(arguments: TestDevices.all)
  func tensorsPassThroughFiles(on device: Device) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let x = try Tensor.arange(0, 6, on: device).reshaped(2, 3).transposed()
    let tensors = ["x": x, "i": try x.to(.int32), "b": try x .> 2]
    let npy = folder.appendingPathComponent("x.npy").path
    try x.save(npy: npy)
    let again = try Tensor.load(npy: npy, on: device)
    #expect(again.shape == [3, 2] && again.dtype == .float32)
    #expect(try again.scalars() == x.scalars())
    let npz = folder.appendingPathComponent("all.npz").path
    try Tensor.save(tensors, npz: npz)
    let read = try Tensor.load(npz: npz, on: device)
    #expect(Set(read.keys) == Set(tensors.keys))
    for (name, tensor) in tensors {
      #expect(read[name]?.dtype == tensor.dtype)
      #expect(try read[name]?.bytes() == tensor.bytes(), "\(name)")
    }
    #expect(throws: ApusError.self) { try Tensor.load(npy: "/nowhere.npy", on: device) }
  }
}

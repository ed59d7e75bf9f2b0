import Apus
import Foundation
import TestSupport
import Testing

struct ModelFileTests {
  private let device = TestDevices.reference

  private func folder() throws -> URL {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
  }

  private func model(_ seed: UInt64) throws -> GraphModel {
    try GraphModel(
      try Preset.named("mlp-small").description(inputShape: [1, 4], classCount: 3),
      key: RandomKey(seed), on: device)
  }

  @Test func fileAloneIsEnough() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    let model = try model(3)
    try ModelFile(model, classNames: ["a", "b", "c"], extras: ["note": "x"]).write(to: path)
    let x = try Tensor.normal([2, 1, 4], key: RandomKey(1), on: device)
    let expected = try model(x, .evaluation).scalars()
    for other in TestDevices.all {
      let read = try ModelFile(path: path, on: other)
      #expect(read.classNames == ["a", "b", "c"] && read.extras == ["note": "x"])
      #expect(
        distance(
          try read.model(try x.to(other), .evaluation).scalars(), expected.map(Double.init)) < 1e-6)
    }
    // PyTorch's names.
    #expect(
      try Safetensors(path: path).entries.keys.sorted() == [
        "fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight",
      ])
  }

  @Test func refusesForeignAndTruncatedFiles() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    try Safetensors.write(["w": try Tensor.ones([2], on: device)], to: path)
    let foreign = #expect(throws: ApusError.self) { try ModelFile(path: path, on: device) }
    #expect(foreign?.message.contains("description") == true)
    try ModelFile(try model(1)).write(to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try whole.dropLast(40).write(to: URL(fileURLWithPath: path))
    let cut = #expect(throws: ApusError.self) { try ModelFile(path: path, on: device) }
    #expect(cut?.operation == path)
  }

  /// A description may claim layers of any size; memory is only spent on what the file holds.
  @Test func claimsOfTheDescriptionCostNothing() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    let description =
      #"{"inputShape": [65536], "layers": [{"name": "a", "type": "Linear", "outFeatures": 32768}]}"#
    try Safetensors.write(
      ["a.weight": try Tensor.ones([32768, 1], on: device)],
      metadata: ["apus.version": "1", "apus.description": description], to: path)
    let error = #expect(throws: ApusError.self) { try ModelFile(path: path, on: device) }
    #expect(error?.operation == path && error?.message.contains("a.weight") == true)
  }

  @Test func failedWriteKeepsTheOldFile() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    try ModelFile(try model(1)).write(to: path)
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(throws: ApusError.self) { try ModelFile(try model(2)).write(to: folder.path) }
    #expect(throws: ApusError.self) {
      try ModelFile(try model(2)).write(to: "/nowhere/at/all/m.safetensors")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
  }
}

import Apus
import Foundation
import TestSupport
import Testing

struct SafetensorsTests {
  private let device = TestDevices.reference

  private func file(_ header: String, _ body: [UInt8] = []) -> Data {
    var data = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(contentsOf: header.utf8)
    data.append(contentsOf: body)
    return data
  }

  @Test func roundTripsEveryType() throws {
    let x = try Tensor([1, -2.5, 3, .infinity], shape: [2, 2], on: device)
    var tensors: [String: Tensor] = [:]
    for dtype in DType.allCases { tensors["t.\(dtype)"] = try x.to(dtype) }
    tensors["scalar"] = try Tensor(Float(7), on: device)
    tensors["empty"] = try Tensor.zeros([0, 3], on: device)
    tensors["one"] = try Tensor.ones([1, 1], on: device)
    tensors["view"] = try x.transposed()
    let data = try Safetensors.encode(tensors, metadata: ["a \"b\"": "ü\n"])
    let read = try Safetensors(data, path: "memory")
    #expect(read.metadata == ["a \"b\"": "ü\n"])
    #expect(read.entries.count == tensors.count)
    for (name, tensor) in tensors {
      let again = try read.tensor(name, on: device)
      #expect(again.dtype == tensor.dtype && again.shape == tensor.shape, "\(name)")
      #expect(try again.bytes() == tensor.bytes(), "\(name)")
    }
    #expect(try Safetensors.encode(tensors, metadata: ["a \"b\"": "ü\n"]) == data)
  }

  @Test func readsSixtyFourBitIntegersThatFit() throws {
    let header = #"{"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#
    let small = try Safetensors(file(header, [5, 0, 0, 0, 0, 0, 0, 0]), path: "f")
    #expect(try small.tensor("n", on: device).scalars(as: Int32.self) == [5])
    let large = try Safetensors(file(header, [0, 0, 0, 0, 0, 1, 0, 0]), path: "f")
    #expect(throws: ApusError.self) { try large.tensor("n", on: device) }
  }

  /// A counter of 2⁴⁰ beside what it counts is not read; elsewhere it is a tensor as others.
  @Test func passesOverCountersOfBatches() throws {
    let header =
      #"{"bn.running_mean":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
      + #""bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#
    let body: [UInt8] = [0, 0, 0, 0] + [0, 0, 0, 0, 0, 1, 0, 0]
    let read = try Safetensors(file(header, body), path: "f")
    #expect(read.entries.count == 2)
    #expect(try read.tensors(on: device).keys.sorted() == ["bn.running_mean"])
    let other = try Safetensors(
      file(header.replacingOccurrences(of: "running_mean", with: "weight"), body), path: "f")
    #expect(throws: ApusError.self) { try other.tensors(on: device) }
  }

  static let wrong: [(String, [UInt8], String)] = [
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, [0, 0, 0, 0], "truncated"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      [0, 0, 0, 0], "twice"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#,
      [0, 0, 0, 0], "twice"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, [0, 0, 0, 0, 9], "nothing"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, [0, 0, 0, 0, 0, 0, 0, 0], "starts"
    ),
    (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#, [0, 0, 0, 0], "takes 12"),
    (
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, [0, 0, 0, 0],
      "'a'"
    ),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, [0, 0, 0, 0], "shape"),
    (#"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, [0, 0, 0, 0], "F33"),
    (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, [0, 0, 0, 0], "whole"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, [0, 0, 0, 0], "offsets"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, [0, 0, 0, 0], "lies"),
    (#"{"a":1}"#, [], "'a'"), (#"[1]"#, [], "object"), (#"{"a"#, [], "end"), ("", [], "object"),
    (#"{"__metadata__":{"a":1}}"#, [], "texts"),
    (String(repeating: "[", count: 1000), [], "nested"),
  ]

  @Test(arguments: Self.wrong)
  func refuses(_ header: String, _ body: [UInt8], _ part: String) {
    let error = #expect(throws: ApusError.self) {
      try Safetensors(file(header, body), path: "bad.safetensors")
    }
    #expect(error?.operation == "bad.safetensors")
    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
  }

  @Test func refusesLyingHeaderSizes() {
    for size in [UInt64.max, 1 << 63, 100_000_001, 17] {
      var data = Data()
      withUnsafeBytes(of: size.littleEndian) { data.append(contentsOf: $0) }
      data.append(contentsOf: [0x7B, 0x7D])
      #expect(throws: ApusError.self) { try Safetensors(data, path: "f") }
    }
    #expect(throws: ApusError.self) { try Safetensors(Data([1, 2]), path: "f") }
    #expect(throws: ApusError.self) { try Safetensors(path: "/nowhere/f.safetensors") }
  }

  /// Mutated files are refused or read; nothing else may happen.
  @Test func survivesMutations() throws {
    let weights = try Linear(3, 2, key: RandomKey(1), on: device).state()
    let model = try GraphModel(
      try Preset.named("mlp-small").description(inputShape: [4], classCount: 3), key: RandomKey(1),
      on: device)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    try ModelFile(model, classNames: ["a", "b", "c"]).write(to: path)
    let seeds = [
      [UInt8](try Safetensors.encode(weights, metadata: ["k": "v"])),
      [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))),
    ]
    let count =
      ProcessInfo.processInfo.environment["APUS_FUZZ_ITERATIONS"].flatMap { Int($0) } ?? 500
    for iteration in 0..<count {
      var bytes = seeds[iteration % 2]
      var draws = Philox.block(key: 99, counter: UInt64(iteration))
      for round in 0...Int(draws[3] % 4) {
        draws = Philox.block(key: UInt64(round) &+ UInt64(draws[0]), counter: UInt64(iteration))
        // Mostly in the header, where lies are told.
        let area = draws[1] % 3 == 0 ? bytes.count : min(bytes.count, 400)
        guard area > 0 else { break }
        let position = Int(draws[0]) % area
        switch draws[2] % 4 {
        case 0: bytes[position] = UInt8(truncatingIfNeeded: draws[3])
        case 1: bytes.removeSubrange(position..<min(bytes.count, position + 1 + Int(draws[3] % 9)))
        case 2: bytes.insert(UInt8(ascii: "0") + UInt8(draws[3] % 10), at: position)
        default: bytes.removeLast(min(bytes.count, Int(draws[3]) % 64))
        }
      }
      do {
        let file = try Safetensors(Data(bytes), path: "mutated")
        for name in file.entries.keys { _ = try? file.tensor(name, on: device) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        if iteration % 2 == 1 { _ = try ModelFile(path: path, on: device) }
      } catch is ApusError {
        continue
      }
    }
  }
}

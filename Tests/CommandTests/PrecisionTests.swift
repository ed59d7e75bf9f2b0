import Apus
import Foundation
import Testing

/// `--precision`, from outside.
@Suite struct PrecisionTests {
  /// Kernels for tensor cores, emulated on whatever OpenCL device there is.
  private let emulated = ["APUS_OPENCL_KIND": "gpu", "APUS_EMULATE_TENSOR_CORES": "1"]

  @Test func float32IsEverywhere() async throws {
    let folder = try Folder()
    let train = "train --data iris --model linear --epochs 1 --seed 3 --quiet --output"
    for device in ["cpu", "reference", "opencl"] {
      try await succeed("\(train) a --device \(device)", in: folder)
      try await succeed("\(train) b --device \(device) --precision float32", in: folder)
      #expect(try folder.bytes("a") == folder.bytes("b"), "\(device)")
    }
  }

  /// A word that is no precision, and a machine where no device has what it takes.
  @Test func refusals() async throws {
    let folder = try Folder()
    let half = try await apus(
      "train --data iris --output m.safetensors --precision half", in: folder)
    #expect(half.code == 64 && half.errors.contains("'tf32' or 'bfloat16'"))
    try FileManager.default.createDirectory(
      atPath: folder.path("vendors"), withIntermediateDirectories: true)
    let none = try await apus(
      "train --data iris --output m.safetensors --precision tf32", in: folder,
      environment: ["OCL_ICD_VENDORS": folder.path("vendors")])
    #expect(none.code == 1 && none.errors.contains("none of cpu computes"))
    #expect(none.errors.contains("--precision float32") && !folder.has("m.safetensors"))
  }

  /// `auto` takes the device that can; training there differs from float32, and the self test passes with
  /// limits of the precision.
  @Test func emulated() async throws {
    let folder = try Folder()
    let train = "train --data iris --model linear --epochs 1 --seed 3 --output"
    for precision in MatrixPrecision.allCases {
      let run = try await succeed(
        "\(train) \(precision) --device opencl:0 --precision \(precision)", in: folder,
        environment: emulated)
      #expect(run.errors.contains("products in \(precision)") == (precision != .float32))
    }
    let files = try MatrixPrecision.allCases.map { try folder.bytes("\($0)") }
    #expect(Set(files).count == 3)
    let auto = try await succeed(
      "\(train) auto --precision tf32", in: folder, environment: emulated)
    #expect(auto.errors.contains("opencl:0") && auto.errors.contains("products in tf32"))
    #expect(try folder.bytes("auto") == folder.bytes("tf32"))

    let test = "selftest --device opencl --quick --json --filter gemm --precision"
    for (precision, smallest) in [("tf32", 1e-5), ("bfloat16", 1e-4)] {
      let run = try await succeed("\(test) \(precision)", in: folder, environment: emulated)
      let outcome = try #require(
        try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
      #expect(outcome["precision"] as? String == precision)
      let row = try #require((outcome["rows"] as? [[String: Any]])?.first)
      let error = try #require(row["error"] as? Double)
      #expect(error > smallest && error < (row["allowed"] as? Double ?? 0))
    }
  }
}

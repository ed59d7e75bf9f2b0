import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct InformationTests {
  private struct Listing: Decodable {
    let devices: [DeviceInfo]
    let auto, reason: String
  }

  private struct SummaryJSON: Decodable {
    struct Layer: Decodable {
      let name, type: String
      let outputShape: [Int]
      let parameters: Int
    }
    let inputShape: [Int]
    let layers: [Layer]
    let parameters: Int
  }

  @Test func devices() async throws {
    let folder = try Folder()
    let text = try await succeed("devices --json", in: folder).output
    let listing = try JSONDecoder().decode(Listing.self, from: Data(text.utf8))
    #expect(Set(TestDevices.all.map(\.name)).isSubset(of: Set(listing.devices.map(\.name))))
    #expect(listing.devices.contains { $0.name == listing.auto } && !listing.reason.isEmpty)
    let table = try await succeed("devices", in: folder).output
    for device in listing.devices { #expect(table.contains(device.name)) }
  }

  @Test func summaries() async throws {
    let folder = try Folder()
    try folder.write(await Fixtures.model.value, "m.safetensors")
    try folder.write(
      #"{"inputShape": [4], "layers": [{"name": "fc", "type": "Linear", "outFeatures": 3}]}"#,
      "d.json")
    let expected = [
      ("mlp", [1, 28, 28], 669_706), ("m.safetensors", [1, 8, 8], 4810), ("d.json", [4], 15),
    ]
    for (model, shape, parameters) in expected {
      let text = try await succeed("summary --model \(model) --json", in: folder).output
      let summary = try JSONDecoder().decode(SummaryJSON.self, from: Data(text.utf8))
      #expect(summary.inputShape == shape && summary.parameters == parameters, "\(model)")
      #expect(summary.layers.reduce(0) { $0 + $1.parameters } == parameters)
    }
    // Running statistics are no parameters: the numbers of the paper and of torchvision.
    for (arguments, parameters) in [
      ("resnet20 --input-shape 3,32,32 --classes 10", 269_722),
      ("resnet18 --input-shape 3,224,224 --classes 1000", 11_689_512),
    ] {
      let text = try await succeed("summary --model \(arguments) --json", in: folder).output
      let summary = try JSONDecoder().decode(SummaryJSON.self, from: Data(text.utf8))
      #expect(summary.parameters == parameters)
    }
    // Files are told apart by what they hold.
    try folder.write(folder.bytes("m.safetensors"), "emoji.st")
    #expect(try await succeed("summary --model emoji.st", in: folder).output.contains("4810"))
    for (arguments, part) in [
      (
        "train --data digits --model emoji.st --output o.safetensors",
        "[emoji.st] is a file of weights"
      ),
      (
        "evaluate --data digits --model d.json",
        "[d.json] is JSON text, such as a model description"
      ),
      ("generate --model d.json", "[d.json] is JSON text"),
    ] {
      let run = try await apus(arguments, in: folder)
      #expect(run.code == 1 && run.errors.contains(part), "\(run.errors)")
    }
    let table = try await succeed(
      "summary --model mlp-small --input-shape 7 --classes 2", in: folder)
    #expect(table.output.contains("fc1") && table.output.contains("Linear"))
    #expect(table.output.contains("parameters") && table.output.contains("642"))
  }

  @Test func presets() async throws {
    let folder = try Folder()
    let text = try await succeed("presets", in: folder).output
    for preset in Preset.all {
      #expect(text.contains(preset.name) && text.contains(preset.summary))
      try await succeed("summary --model \(preset.name) --input-shape 3,32,32", in: folder)
    }
    for name in ["linear", "mlp", "mlp-small"] {
      try await succeed(
        "train --data iris --model \(name) --epochs 1 --output m.safetensors --quiet", in: folder)
    }
    // A table is no image.
    let run = try await apus(
      "train --data iris --model lenet --epochs 1 --output n.safetensors", in: folder)
    #expect(run.code == 1 && run.errors.contains("[channels, height, width]"))
    try await succeed(
      "train --data digits --model lenet --epochs 1 --device cpu --output m.safetensors --quiet",
      in: folder)
  }

  @Test func demo() async throws {
    let folder = try Folder()
    let run = try await succeed("demo --output-dir made/here --device cpu", in: folder)
    for name in ["digits.safetensors", "digits.jsonl", "digits.svg"] {
      #expect(folder.has("made/here/" + name))
    }
    #expect(run.output.contains("test accuracy") && run.output.contains("says"))
    let result = try #require(LogLine.all(folder.text("made/here/digits.jsonl")).last)
    #expect((result.testAccuracy ?? 0) >= 0.97)
  }

  @Test func helpNamesTheContract() async throws {
    let folder = try Folder()
    let help = try await succeed("train --help", in: folder).output
    for option in [
      "data", "model", "device", "epochs", "batch-size", "learning-rate", "optimizer", "seed",
      "output", "log", "data-dir", "validation", "quiet",
    ] { #expect(help.contains("--\(option)")) }
    let version = try await succeed("--version", in: folder).output
    #expect(version.contains("."))
  }

  /// A result that nobody can take is a failure; a remark is not.
  @Test func fullDisk() async throws {
    let folder = try Folder()
    func shell(_ command: String) async throws -> Int32 {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", command]
      process.currentDirectoryURL = folder.url
      let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
      process.terminationHandler = { _ in continuation.finish() }
      process.standardError = FileHandle.nullDevice
      try process.run()
      for await _ in stream {}
      process.waitUntilExit()
      return process.terminationReason == .exit ? process.terminationStatus : -1
    }
    let program = ApusProcess.program.path
    #expect(try await shell("'\(program)' presets > /dev/full") == 1)
    #expect(try await shell("'\(program)' presets >&-") == 1)
    #expect(
      try await shell(
        "'\(program)' train --data iris --model linear --epochs 1 --output m 2> /dev/full") == 0)
  }
}

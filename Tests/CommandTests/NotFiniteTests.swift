import Apus
import Foundation
import TestSupport
import Testing

/// Weights and outputs that are NaN or infinite, from outside.
@Suite(.timeLimit(.minutes(15)))
struct NotFiniteTests {
  private static let device = TestDevices.reference

  private static func state(_ model: Data, _ folder: Folder) throws -> (
    state: [String: Tensor], metadata: [String: String]
  ) {
    try folder.write(model, "whole.safetensors")
    let file = try Safetensors(path: folder.path("whole.safetensors"))
    return (try file.tensors(on: device), file.metadata)
  }

  private static func set(
    _ value: Float, at place: Int, of name: String, _ state: inout [String: Tensor]
  ) throws {
    let tensor = try #require(state[name])
    var values = try tensor.scalars()
    values[place] = value
    state[name] = try Tensor(values, shape: tensor.shape, on: device)
  }

  /// Every command refuses a model with such weights in the same words.
  @Test func classesAreRefused() async throws {
    let folder = try Folder()
    let (original, metadata) = try Self.state(await Fixtures.model.value, folder)
    var state = original
    try Self.set(.nan, at: 3, of: "fc2.bias", &state)
    try Safetensors.write(state, metadata: metadata, to: folder.path("m.safetensors"))
    try NPY.write(
      try HostArray(Fixtures.digits(3).features, shape: [3, 1, 8, 8]), to: folder.path("x.npy"))
    for arguments in [
      "predict --input x.npy --output p.json", "predict --input x.npy --output p.csv",
      "predict --input x.npy --output -", "evaluate --data digits", "evaluate --data digits --json",
    ] {
      let run = try await apus("\(arguments) --model m.safetensors --device cpu", in: folder)
      #expect(run.code == 1 && !run.wasKilled && run.output.isEmpty, "\(run.output)")
      #expect(
        run.errors.contains(
          "[m.safetensors] its outputs are not finite for example 0; its weights are ruined: "
            + "'fc2.bias' has nan at [3]"), "\(arguments): \(run.errors)")
    }
    #expect(!folder.has("p.json") && !folder.has("p.csv"))
  }

  @Test func numbersAreRefused() async throws {
    let folder = try Folder()
    let rows = (0..<40).map { "\($0 % 7),\($0 % 5),\(Double($0 % 7) * 1.5)" }
    try folder.write("a,b,y\n" + rows.joined(separator: "\n") + "\n", "t.csv")
    try await succeed(
      "train --data t.csv --loss mse --model linear --epochs 1 --device cpu --output r.safetensors "
        + "--quiet", in: folder)
    let (original, metadata) = try Self.state(folder.bytes("r.safetensors"), folder)
    var state = original
    let name = try #require(state.keys.first { $0.hasSuffix(".bias") })
    try Self.set(.infinity, at: 0, of: name, &state)
    try Safetensors.write(state, metadata: metadata, to: folder.path("r.safetensors"))
    for arguments in [
      "predict --input t.csv --output p.json", "evaluate --data t.csv --json",
      "evaluate --data t.csv",
    ] {
      let run = try await apus("\(arguments) --model r.safetensors --device cpu", in: folder)
      #expect(run.code == 1 && run.output.isEmpty)
      #expect(
        run.errors.contains("[r.safetensors] its outputs are not finite for example 0")
          && run.errors.contains("'\(name)' has inf at [0]"), "\(arguments): \(run.errors)")
    }
  }

  @Test func languageModelsAreRefused() async throws {
    let folder = try Folder()
    try folder.write(LanguageTests.text, "cats.txt")
    try await succeed(
      "train --data cats.txt --model char-lstm --hidden-size 8 --epochs 1 --device cpu --quiet "
        + "--output lm.safetensors", in: folder)
    let (original, metadata) = try Self.state(folder.bytes("lm.safetensors"), folder)
    var state = original
    let name = try #require(state.keys.sorted().last { $0.hasSuffix(".bias") })
    try Self.set(.nan, at: 1, of: name, &state)
    try Safetensors.write(state, metadata: metadata, to: folder.path("lm.safetensors"))
    for arguments in ["evaluate --data cats.txt --json", "generate"] {
      let run = try await apus("\(arguments) --model lm.safetensors --device cpu", in: folder)
      #expect(run.code == 1)
      #expect(
        run.errors.contains("[lm.safetensors] its outputs are not finite")
          && run.errors.contains("'\(name)' has nan at [1]"), "\(arguments): \(run.errors)")
    }
  }

  private static let options = "--model resnet20 --input-shape 3,8,8 --classes 4"

  private static func network() throws -> [String: Tensor] {
    try GraphModel(
      try Preset.named("resnet20").description(inputShape: [3, 8, 8], classCount: 4),
      key: RandomKey(3), on: device
    ).state()
  }

  /// What `import` must not take over.
  @Test(arguments: [
    ("conv1.weight", 28, Float.nan, "tensor 'conv1.weight' has nan at [1, 0, 0, 1]"),
    ("linear.bias", 2, -Float.infinity, "tensor 'linear.bias' has -inf at [2]"),
    ("bn1.running_var", 5, Float(-0.25), "tensor 'bn1.running_var' has -0.25 at [5]; a variance"),
  ])
  func importRefuses(_ name: String, _ place: Int, _ value: Float, _ part: String) async throws {
    let folder = try Folder()
    var state = try Self.network()
    try Self.set(value, at: place, of: name, &state)
    try Safetensors.write(state, to: folder.path("w.safetensors"))
    let run = try await apus(
      "import \(Self.options) --weights w.safetensors --output m.safetensors", in: folder)
    #expect(run.code == 1 && run.errors.contains("[w.safetensors] " + part), "\(run.errors)")
    #expect(!folder.has("m.safetensors"))
  }

  @Test func importRefusesWhatFloatsCannotHold() async throws {
    let folder = try Folder()
    var state = try Self.network()
    state["linear.bias"] = try Tensor([0.5, 1e300, 0, 1] as [Double], shape: [4], on: Self.device)
    try Safetensors.write(state, to: folder.path("w.safetensors"))
    let run = try await apus(
      "import \(Self.options) --weights w.safetensors --output m.safetensors", in: folder)
    #expect(
      run.code == 1
        && run.errors.contains("'linear.bias' has 1e+300 at [1], which float32 cannot hold"),
      "\(run.errors)")
  }

  @Test func explainRefuses() async throws {
    let folder = try Folder()
    try Safetensors.write(try Self.network(), to: folder.path("w.safetensors"))
    try await succeed(
      "import \(Self.options) --weights w.safetensors --output m.safetensors", in: folder)
    let (original, metadata) = try Self.state(folder.bytes("m.safetensors"), folder)
    var state = original
    try Self.set(.nan, at: 0, of: "linear.bias", &state)
    try Safetensors.write(state, metadata: metadata, to: folder.path("m.safetensors"))
    try NPY.write(
      try HostArray([Float](repeating: 9, count: 384), shape: [2, 3, 8, 8]),
      to: folder.path("x.npy"))
    let run = try await apus(
      "explain --model m.safetensors --input x.npy --index 1 --output-dir out --device cpu",
      in: folder)
    #expect(
      run.code == 1
        && run.errors.contains("[m.safetensors] its outputs are not finite for example 1")
        && run.errors.contains("'linear.bias' has nan at [0]"), "\(run.errors)")
    #expect(!folder.has("out"))
  }
}

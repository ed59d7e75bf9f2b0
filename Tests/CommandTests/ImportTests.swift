import Apus
import Foundation
import TestSupport
import Testing

/// `import` and `explain` from outside.
@Suite(.timeLimit(.minutes(15)))
struct ImportTests {
  private static let classes = "ant,bee,cat,dog"
  private static let options =
    "--model resnet20 --input-shape 3,8,8 --classes \(classes) --mean 0.5,0.4,0.3 --std 0.2,0.3,0.4"

  /// Weights as another program would leave them, and the model they belong to.
  private static func weights(to folder: Folder, _ name: String) throws -> GraphModel {
    let description = try Preset.named("resnet20").description(
      inputShape: [3, 8, 8], classCount: 4)
    let model = try GraphModel(description, key: RandomKey(3), on: TestDevices.reference)
    let state = model.state()
    let file = try Safetensors.encode(state)
    // A counter greater than any int32, as a type of 64 bits.
    let size = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = file.dropFirst(8).prefix(size)
    let end = file.count - 8 - header.count
    var text = String(decoding: header, as: UTF8.self).trimmingCharacters(in: .whitespaces)
    text.removeLast()
    text += #","bn1.num_batches_tracked":{"dtype":"I64","shape":[],"#
    text += #""data_offsets":[\#(end),\#(end + 8)]}}"#
    var bytes = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Data($0) }
    bytes += Data(text.utf8) + file.suffix(end) + [0, 0, 0, 0, 0, 1, 0, 0]
    try folder.write(bytes, name)
    return model
  }

  private static func pixels(_ count: Int) -> [Float] {
    (0..<count * 192).map { index -> Float in
      let image = index / 192
      return Float((index * 7919 + image * 31) % 256)
    }
  }

  @Test func importedModelsPredictAndEvaluateOnEveryDevice() async throws {
    let folder = try Folder()
    let model = try Self.weights(to: folder, "w.safetensors")
    let run = try await succeed(
      "import \(Self.options) --weights w.safetensors --output m.safetensors", in: folder)
    #expect(run.output.contains("4 classes"))

    let pixels = Self.pixels(6)
    // What the file promises: (x / 255 − mean) / std.
    let (mean, deviation): ([Float], [Float]) = ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    let prepared = pixels.enumerated().map { index, x -> Float in
      let channel = index / 64 % 3
      return (x / 255 - mean[channel]) / deviation[channel]
    }
    let logits = try model(
      try Tensor(prepared, shape: [6, 3, 8, 8], on: TestDevices.reference), .evaluation)
    let expected = try logits.softmax().scalars()
    let best = try logits.argMax(axis: 1).scalars(as: Int32.self)
    try NPY.write(try HostArray(pixels, shape: [6, 3, 8, 8]), to: folder.path("x.npy"))
    // Half of the labels are right.
    let labels = best.enumerated().map { index, label -> Int32 in
      index % 2 == 0 ? label : label == 3 ? 0 : 3
    }
    try NPZ.write(
      [
        "x": try HostArray(pixels, shape: [6, 3, 8, 8]),
        "y": try HostArray(labels, shape: [6]),
      ], to: folder.path("d.npz"))
    // An archive names its classes by number.
    try await succeed(
      "import \(Self.options) --classes 4 --weights w.safetensors --output n.safetensors"
        .replacingOccurrences(of: "--classes \(Self.classes) ", with: ""), in: folder)
    for device in TestDevices.all.map(\.name) {
      let text = try await succeed(
        "evaluate --model n.safetensors --data d.npz --json --device \(device)", in: folder
      ).output
      #expect(try EvaluationJSON(text).accuracy == 0.5)
      try await succeed(
        "predict --model m.safetensors --input x.npy --output p.json --device \(device)", in: folder
      )
      let found = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("p.json"))
      #expect(found.classes == ["ant", "bee", "cat", "dog"])
      for (index, row) in found.predictions.enumerated() {
        for (place, name) in found.classes.enumerated() {
          let wanted = Double(expected[index * 4 + place])
          #expect(abs((row.probabilities[name] ?? 9) - wanted) < 1e-4)
        }
      }
    }
  }

  @Test(arguments: [
    ("--model resnet18 --input-shape 3,8,8 --classes 4 --weights w.safetensors", 1, "conv1.weight"),
    ("--model resnet20 --input-shape 1,8,8 --classes 4 --weights w.safetensors", 1, "conv1.weight"),
    ("--model resnet20 --input-shape 3,8,8 --classes 5 --weights w.safetensors", 1, "linear"),
    ("--model resnet20 --input-shape 3,8,8 --classes 4 --weights gone.safetensors", 1, "gone"),
    ("--model resnet20 --input-shape 3,8,8 --classes 4 --weights text.safetensors", 1, "text"),
    ("--model resnet99 --input-shape 3,8,8 --classes 4 --weights w.safetensors", 1, "resnet99"),
    ("--model resnet20 --input-shape 192 --classes 4 --weights w.safetensors", 1, "conv1"),
    (
      "--model resnet20 --input-shape 3,-8,8 --classes 4 --weights w.safetensors", 64, "input-shape"
    ),
    ("--model resnet20 --input-shape 3,8,8 --classes a,a --weights w.safetensors", 64, "classes"),
    ("--model resnet20 --input-shape 3,8,8 --classes 0 --weights w.safetensors", 64, "classes"),
    (
      "--model resnet20 --input-shape 3,8,8 --classes 4 --weights w.safetensors --mean 1,2", 64,
      "mean"
    ),
    (
      "--model resnet20 --input-shape 3,8,8 --classes 4 --weights w.safetensors --std 0", 64, "std"
    ),
  ])
  func refusesWhatDoesNotFit(_ arguments: String, _ code: Int32, _ part: String) async throws {
    let folder = try Folder()
    _ = try Self.weights(to: folder, "w.safetensors")
    try folder.write("no weights", "text.safetensors")
    let run = try await apus("import \(arguments) --output m.safetensors", in: folder)
    #expect(run.code == code && !run.wasKilled, "\(run.code) \(run.errors)")
    #expect(run.errors.contains(part), "\(run.errors)")
    #expect(!folder.has("m.safetensors"))
  }

  @Test func explains() async throws {
    let folder = try Folder()
    _ = try Self.weights(to: folder, "w.safetensors")
    try await succeed(
      "import \(Self.options) --weights w.safetensors --output m.safetensors", in: folder)
    try NPY.write(try HostArray(Self.pixels(2), shape: [2, 3, 8, 8]), to: folder.path("x.npy"))
    try await succeed(
      "explain --model m.safetensors --input x.npy --index 1 --class cat --output-dir out/deep "
        + "--device cpu", in: folder)
    // The first convolution, two in each of nine blocks.
    let maps = (1...19).map { String(format: "out/deep/maps-%02d.png", $0) }
    for name in ["index.html", "image.png", "grad-cam.png", "filters.png"].map({ "out/deep/" + $0 })
      + maps
    { #expect(folder.has(name), "\(name)") }
    #expect(!folder.has("out/deep/maps-20.png"))
    for (arguments, part) in [
      ("--model m.safetensors --input x.npy --index 2", "example 2"),
      ("--model m.safetensors --input x.npy --class cow", "cow"),
      ("--model gone.safetensors --input x.npy", "gone"),
      ("--model w.safetensors --input x.npy", "description"),
      ("--model m.safetensors --input gone.png", "gone"),
    ] {
      let run = try await apus("explain \(arguments) --output-dir o2", in: folder)
      #expect(run.code == 1 && !run.wasKilled && run.errors.contains(part), "\(run.errors)")
      #expect(!folder.has("o2"))
    }
  }
}

import Apus
import Foundation
import Testing

/// Folders of photos, from training to prediction.
struct ImageTests {
  private let folder: Folder

  /// Two classes of images of several sizes: bright red and dark blue, with a little noise.
  init() throws {
    folder = try Folder()
    for part in ["train", "val"] {
      for index in 0..<(part == "train" ? 12 : 4) {
        for (label, color) in [("dark", [10, 20, 90]), ("red", [220, 40, 30])] {
          let (height, width) = (12 + index % 3, 10 + index)
          let pixels = (0..<3 * height * width).map { place in
            UInt8(color[place / (height * width)] + (place * 7 + index * 13) % 23)
          }
          try folder.write(
            Data(PNG.encode(HostArray(pixels, shape: [3, height, width]))),
            "photos/\(part)/\(label)/\(index).png")
        }
      }
    }
  }

  @Test func trainEvaluatePredict() async throws {
    let common =
      "train --data photos --image-size 8 --model mlp-small --device cpu --epochs 6 --batch-size 8 "
      + "--learning-rate 1e-2 --seed 2 --augment flip,crop:1,rotate:10,color:0.1,mixup:0.2 --quiet"
    for workers in [0, 1, 3] {
      try await succeed(
        "\(common) --workers \(workers) --log \(workers).jsonl --output \(workers).safetensors",
        in: folder)
    }
    // One seed, one result.
    let first = try folder.bytes("0.safetensors")
    #expect(try folder.bytes("1.safetensors") == first)
    #expect(try folder.bytes("3.safetensors") == first)
    let report = try EvaluationJSON(
      await succeed("evaluate --model 0.safetensors --data photos --json", in: folder).output)
    #expect(report.count == 8 && report.accuracy == 1)
    // A photo of any size, and a folder of them.
    try await succeed(
      "predict --model 0.safetensors --input photos/val/red/3.png --output one.json", in: folder)
    let one = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("one.json"))
    #expect(one.predictions.map(\.prediction) == ["red"])
    let table = try await succeed(
      "predict --model 0.safetensors --input photos/val/dark --output -", in: folder)
    let lines = table.output.split(separator: "\n").map { $0.split(separator: ",") }
    #expect(lines[0].prefix(3) == ["index", "file", "prediction"])
    #expect(lines.dropFirst().map { $0[1] } == (0..<4).map { "photos/val/dark/\($0).png" })
    #expect(lines.dropFirst().allSatisfy { $0[2] == "dark" })
  }

  @Test func previewDrawsASheet() async throws {
    let ended = try await succeed(
      "augment-preview --data photos --image-size 32 --augment flip,rotate:30 --count 10 --columns 5 "
        + "--output sheet.png", in: folder)
    #expect(ended.output.split(separator: "\n").count == 3)
    let sheet = try PNG.read(folder.path("sheet.png"))
    // Pictures of 3 · 32 pixels and gaps of 2, one of them double.
    #expect(sheet.shape == [3, 2 * 98 + 2, 5 * 98 + 4])
    let repeated = try folder.bytes("sheet.png")
    try await succeed(
      "augment-preview --data photos --image-size 32 --augment flip,rotate:30 --count 10 --columns 5 "
        + "--output again.png", in: folder)
    #expect(try folder.bytes("again.png") == repeated)
  }

  @Test func errorsNameWhatIsWrong() async throws {
    for command in ["train", "augment-preview --augment flip"] {
      for size in ["0", "-3", "5000"] {
        let ended = try await apus(
          "\(command) --data photos --image-size=\(size) --output s.safetensors", in: folder)
        #expect(ended.code == 64 && ended.errors.contains("--image-size must be within 1...4096"))
      }
    }
    for (arguments, parts) in [
      ("augment-preview --data photos --augment flop --output s.png", ["flop", "cutout:SIDE"]),
      ("augment-preview --data iris --augment flip --output s.png", ["[4]", "images"]),
      ("train --data iris --augment flip --output s.safetensors", ["'flip' changes images"]),
      ("train --data photos --workers 100 --output s.safetensors", ["workers", "0...64"]),
    ] {
      let ended = try await apus(arguments, in: folder)
      #expect(ended.code != 0 && !ended.wasKilled, "\(arguments)")
      for part in parts { #expect(ended.errors.contains(part), "\(ended.errors)") }
    }
    try folder.write("no image", "photos/train/red/bad.jpg")
    let ended = try await apus("train --data photos --output s.safetensors", in: folder)
    #expect(ended.code == 1 && ended.errors.contains("photos/train/red/bad.jpg"))
  }
}

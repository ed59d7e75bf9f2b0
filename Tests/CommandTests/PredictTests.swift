import Apus
import Foundation
import Testing

@Suite(.timeLimit(.minutes(15)))
struct PredictTests {
  private let folder: Folder
  private let digits: Dataset

  init() async throws {
    folder = try Folder()
    try folder.write(await Fixtures.model.value, "m.safetensors")
    digits = try Fixtures.digits(4)
  }

  /// The same digits in every format get the same answers.
  @Test func formatsAgree() async throws {
    let array = try HostArray(digits.features, shape: [4, 8, 8])
    let bytes = try HostArray(digits.features.map { UInt8($0) }, shape: [4, 8, 8])
    try NPY.write(array, to: folder.path("x.npy"))
    try IDX.write(bytes, to: folder.path("x.idx"))
    try IDX.write(bytes, to: folder.path("images-ubyte"))
    let rows = try (0..<4).map { row in
      try digits.features[row * 64..<(row + 1) * 64].map { "\($0)" }.joined(separator: ",")
    }
    try folder.write(rows.joined(separator: "\n") + "\n", "x.csv")

    var tables: [String] = []
    for input in ["x.npy", "x.idx", "images-ubyte", "x.csv"] {
      try await succeed(
        "predict --model m.safetensors --input \(input) --output out.csv --device cpu", in: folder)
      tables.append(try folder.text("out.csv"))
    }
    #expect(Set(tables).count == 1)
    let printed = try await succeed(
      "predict --model m.safetensors --input x.npy --output - --device cpu", in: folder)
    #expect(printed.output == tables[0])

    let lines = tables[0].split(separator: "\n").map { $0.split(separator: ",") }
    #expect(lines[0] == ["index", "prediction", "probability"] + (0..<10).map { "p_\($0)" })
    #expect(lines.count == 5)
    for (line, label) in zip(lines.dropFirst(), digits.labels) {
      #expect(line[1] == "\(label)")
      let probabilities = line.dropFirst(3).compactMap { Double($0) }
      #expect(probabilities.count == 10 && abs(probabilities.reduce(0, +) - 1) < 1e-5)
    }
  }

  @Test func json() async throws {
    try NPY.write(try HostArray(digits.features, shape: [4, 1, 8, 8]), to: folder.path("x.npy"))
    try await succeed("predict --model m.safetensors --input x.npy --output out.json", in: folder)
    let document = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("out.json"))
    #expect(document.classes == (0..<10).map(String.init))
    #expect(document.predictions.map(\.prediction) == digits.labels.map { "\($0)" })
    for row in document.predictions {
      #expect(Set(row.probabilities.keys) == Set(document.classes))
      #expect(abs(row.probabilities.values.reduce(0, +) - 1) < 1e-5)
      #expect(row.probabilities[row.prediction] == row.probability)
      #expect(row.probability == row.probabilities.values.max())
    }
  }

  /// Pixels of an image file are scaled to the range of the training images.
  @Test func picture() async throws {
    for index in 0..<digits.count {
      let (features, label) = try digits.example(index)
      let pixels = features.map { UInt8(min(($0 * 255 / 16).rounded(), 255)) }
      try PNG.write(try HostArray(pixels, shape: [1, 8, 8]), to: folder.path("digit.png"))
      try await succeed(
        "predict --model m.safetensors --input digit.png --output out.json", in: folder)
      let document = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("out.json"))
      #expect(document.predictions.map(\.prediction) == [label.map { "\($0)" } ?? ""])
    }
  }

  @Test func tables() async throws {
    try folder.write(Fixtures.flowers(), "flowers.csv")
    try folder.write(Fixtures.flowers(header: false), "bare.csv")
    let common = "--model mlp-small --device cpu --epochs 40 --learning-rate 1e-2 --quiet"
    for target in ["--target kind", "--target 4", "--target=-1", ""] {
      try await succeed(
        "train --data flowers.csv \(target) \(common) --output f.safetensors", in: folder)
      let report = try EvaluationJSON(
        await succeed("evaluate --model f.safetensors --data flowers.csv --json", in: folder)
          .output)
      #expect(report.accuracy > 0.95 && report.count == 60, "\(target)")
    }
    // Columns are found by name, the target may be missing.
    try folder.write("size,weight,color\n0.1,0.5,red\n2.2,0.5,white\n", "new.csv")
    let answer = try await succeed(
      "predict --model f.safetensors --input new.csv --output -", in: folder)
    let names = answer.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",")[1] }
    #expect(names == ["rose", "lily"])
    // Without a header, by position; words are categories by themselves, numbers where asked for.
    try await succeed(
      "train --data bare.csv --no-header \(common) --output b.safetensors", in: folder)
    try await succeed("evaluate --model b.safetensors --data bare.csv --no-header", in: folder)
    try await succeed(
      "train --data flowers.csv --target color --categorical size \(common) "
        + "--output c.safetensors", in: folder)
  }

  @Test func folderOfImages() async throws {
    try Fixtures.writeImages(to: folder, "images")
    try await succeed(
      "train --data images --model linear --epochs 1 --output i.safetensors --quiet", in: folder)
    let report = try EvaluationJSON(
      await succeed("evaluate --model i.safetensors --data images --json", in: folder).output)
    #expect(report.count == 12)
    // The same files as a data set known by name.
    try Fixtures.writeImages(to: folder, "sets/mnist")
    let named = try await apus(
      "train --data mnist --data-dir sets --offline --model linear --epochs 1 "
        + "--output n.safetensors --quiet", in: folder)
    #expect(!named.wasKilled)
  }
}

import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct TextTests {
  /// Messages whose class a word gives away.
  static func messages(_ count: Int, header: Bool = false, delimiter: String = "\t") -> String {
    var lines = header ? ["label\(delimiter)message"] : []
    for index in 0..<count {
      let filler = (0..<(index * 7 % 12)).map { "word\((index * 31 + $0 * 17) % 23)" }
      let isSpam = index % 2 == 0
      let words = filler.prefix(3) + [isSpam ? "prize" : "dinner"] + filler.dropFirst(3)
      lines.append("\(isSpam ? "spam" : "ham")\(delimiter)\(words.joined(separator: " "))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let small =
    "--model text-gru --embedding-size 12 --hidden-size 12 --epochs 12 --batch-size 16 "
    + "--learning-rate 1e-2 --max-length 20"

  @Test(arguments: TestDevices.fast.map(\.name))
  func messagesFromTableToPrediction(device: String) async throws {
    let folder = try Folder()
    try folder.write(Self.messages(300), "sms.tsv")
    let run = try await succeed(
      "train --data sms.tsv \(Self.small) --text-column 2 --target 1 --device \(device) --seed 1 "
        + "--output m.safetensors --log run.jsonl", in: folder)
    #expect(run.output.contains("test accuracy"))
    let result = try #require(LogLine.all(folder.text("run.jsonl")).last)
    #expect((result.testAccuracy ?? 0) > 0.95)

    try folder.write(Self.messages(40), "new.tsv")
    let report = try EvaluationJSON(
      await succeed(
        "evaluate --model m.safetensors --data new.tsv --device \(device) --json", in: folder
      ).output)
    #expect(report.count == 40 && report.accuracy > 0.95)

    try folder.write("you win a prize\n\ncome to dinner, please\n", "lines.txt")
    let lines = try await succeed(
      "predict --model m.safetensors --input lines.txt --output - --device \(device)", in: folder)
    let rows = lines.output.split(separator: "\n").map { $0.split(separator: ",") }
    #expect(rows[0] == ["index", "prediction", "probability", "p_ham", "p_spam"])
    #expect(rows.count == 4 && rows[1][1] == "spam" && rows[3][1] == "ham")
    try await succeed(
      "predict --model m.safetensors --input new.tsv --output p.json --device \(device)", in: folder
    )
    let document = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("p.json"))
    #expect(document.classes == ["ham", "spam"] && document.predictions.count == 40)
    #expect(document.predictions.enumerated().count { $0 % 2 == 0 && $1.prediction == "spam" } > 18)
  }

  @Test func standardInputIsForTexts() async throws {
    let folder = try Folder()
    try folder.write(Self.messages(40), "sms.tsv")
    try await succeed(
      "train --data sms.tsv --model text-gru --epochs 1 --device cpu --output m.safetensors --quiet",
      in: folder)
    let predict = "predict --input - --output - --device cpu --model "
    try folder.write("good\nday\n", "in.txt")
    let good = try await apus(predict + "m.safetensors", in: folder, input: "in.txt")
    #expect(good.code == 0 && good.output.split(separator: "\n").count == 3, "\(good.errors)")
    try folder.write(Data("good\n".utf8) + [0xFF, 0x0A], "in.txt")
    let bad = try await apus(predict + "m.safetensors", in: folder, input: "in.txt")
    #expect(bad.code == 1 && bad.errors.contains("[standard input] is not UTF-8: byte 5 is 0xFF"))
    try folder.write(await Fixtures.model.value, "digits.safetensors")
    let images = try await apus(predict + "digits.safetensors", in: folder, input: "in.txt")
    #expect(images.code == 1 && images.errors.contains("standard input is for models of texts"))
    #expect(images.errors.contains("takes images"))
  }

  @Test func foldersAndOtherTokenizers() async throws {
    let folder = try Folder()
    for (index, line) in Self.messages(60).split(separator: "\n").enumerated() {
      let parts = line.split(separator: "\t")
      try folder.write(
        String(parts[1]), "mail/\(index < 50 ? "train" : "test")/\(parts[0])/\(index)")
    }
    for tokenizer in ["character", "bpe"] {
      try await succeed(
        "train --data mail --model text-gru --tokenizer \(tokenizer) --vocabulary 280 --device cpu "
          + "--embedding-size 8 --hidden-size 8 --epochs 1 --output \(tokenizer).safetensors --quiet",
        in: folder)
      let report = try EvaluationJSON(
        await succeed(
          "evaluate --model \(tokenizer).safetensors --data mail --device cpu --json", in: folder
        ).output)
      #expect(report.count == 10)
    }
    // A table, for a model that was trained on a folder.
    try folder.write("id,text\n1,some words\n2,others\n", "t.csv")
    let found = try await succeed(
      "predict --model bpe.safetensors --input t.csv --output - --device cpu", in: folder)
    #expect(found.output.split(separator: "\n").count == 3)
  }

  @Test func textRunsGoOnWithTheSameBits() async throws {
    let folder = try Folder()
    try folder.write(Self.messages(60), "sms.tsv")
    let base =
      "train --data sms.tsv \(Self.small) --schedule constant --device cpu --seed 5 --quiet --epochs "
    try await succeed(base + "3 --output whole.safetensors", in: folder)
    try await succeed(
      base + "2 --output part.safetensors --checkpoint-dir run", in: folder)
    try await succeed(
      base + "3 --output part.safetensors --checkpoint-dir run --resume", in: folder)
    #expect(try folder.bytes("whole.safetensors") == folder.bytes("part.safetensors"))
    let warm = try await succeed(
      "train --data sms.tsv \(Self.small) --device cpu --init-from whole.safetensors --output "
        + "w.safetensors", in: folder)
    #expect(warm.errors.contains("initial weights from whole.safetensors"))
  }

  @Test(arguments: [
    (
      "train --data sms.tsv --model text-gru --text-column 2 --target 2 --output o.safetensors", 1,
      "column"
    ),
    ("train --data sms.tsv --model text-gru --text-column nine --output o.safetensors", 1, "nine"),
    ("train --data bad.tsv --model text-gru --output o.safetensors", 1, "byte 4"),
    (
      "train --data sms.tsv --model text-gru --tokenizer bpe --vocabulary 100 --output o.safetensors",
      64, "258"
    ),
    (
      "train --data sms.tsv --model text-gru --max-length 0 --output o.safetensors", 64,
      "max-length"
    ),
    ("train --data sms.tsv --model text-gru --dropout 1.5 --output o.safetensors", 64, "dropout"),
    ("train --data iris --model mlp --tokenizer bpe --output o.safetensors", 1, "--tokenizer"),
    ("train --data iris --model mlp --hidden-size 5 --output o.safetensors", 1, "hidden size"),
    ("train --data nowhere --model text-gru --output o.safetensors", 1, "nowhere"),
    ("generate --model m.safetensors --temperature nan", 64, "temperature"),
    ("generate --model m.safetensors --top-k 0", 64, "top-k"),
    ("generate --model m.safetensors --top-p 1.5", 64, "top-p"),
    ("generate --model m.safetensors --length=-1", 64, "length"),
    ("generate --model missing.safetensors", 1, "missing.safetensors"),
    ("generate --model digits.safetensors", 1, "no language model"),
  ])
  func mistakesAreNamed(arguments: String, code: Int, word: String) async throws {
    let folder = try Folder()
    try folder.write(Self.messages(20), "sms.tsv")
    try folder.write(Data([0x61, 0x09, 0x62, 0x63, 0xFF, 0x0A]), "bad.tsv")
    try folder.write(await Fixtures.model.value, "digits.safetensors")
    let ended = try await apus(arguments, in: folder)
    #expect(ended.code == code, "\(ended.errors)")
    #expect(ended.errors.contains(word), "\(ended.errors)")
    #expect(!folder.has("o.safetensors"))
  }
}

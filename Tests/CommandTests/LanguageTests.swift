import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct LanguageTests {
  /// A text with a rhythm that is easily learnt.
  static let text = String(
    repeating: "the cat sat on the mat.\nthe dog sat on the log.\n", count: 60)

  private static let small =
    "--model char-lstm --embedding-size 8 --hidden-size 24 --batch-size 8 --sequence-length 16 "
    + "--learning-rate 1e-2"

  /// A language model of that text.
  private static let model = Task {
    let folder = try Folder()
    try folder.write(text, "cats.txt")
    try await succeed(
      "train --data cats.txt \(small) --epochs 8 --device cpu --seed 2 --output lm.safetensors "
        + "--log run.jsonl", in: folder)
    return (model: try folder.bytes("lm.safetensors"), log: try folder.text("run.jsonl"))
  }

  private struct Line: Decodable {
    let event: String
    let trainLoss, validationLoss: Double?
    let validationFigures, testFigures: [String: Double]?
  }

  @Test func learnsAndTells() async throws {
    let lines = try await Self.model.value.log.split(separator: "\n").map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
    let epochs = lines.filter { $0.event == "epoch" }
    #expect(epochs.count == 8)
    let last = try #require(epochs.last)
    #expect((last.trainLoss ?? 9) < 0.8 && (last.validationLoss ?? 9) < 0.8)
    let loss = last.validationLoss ?? 0
    #expect(abs((last.validationFigures?["perplexity"] ?? 0) - exp(loss)) < 1e-6)
    #expect(abs((last.validationFigures?["bitsPerCharacter"] ?? 0) - loss / log(2)) < 1e-6)
    #expect(lines.last?.event == "result")

    let folder = try Folder()
    try folder.write(await Self.model.value.model, "lm.safetensors")
    try folder.write(Self.text, "cats.txt")
    let known = try await succeed(
      "evaluate --model lm.safetensors --data cats.txt --device cpu --json", in: folder
    ).output
    let figures = try JSONDecoder().decode([String: Double].self, from: Data(known.utf8))
    #expect((figures["loss"] ?? 9) < 0.8 && figures["count"] ?? 0 > 2000)
    #expect(abs((figures["perplexity"] ?? 0) - exp(figures["loss"] ?? 0)) < 1e-6)
  }

  @Test func writesTheSameForTheSameSeed() async throws {
    let folder = try Folder()
    try folder.write(await Self.model.value.model, "lm.safetensors")
    func written(_ options: String) async throws -> String {
      try await succeed(
        "generate --model lm.safetensors --device cpu --prompt the --length 80 \(options)",
        in: folder
      ).output
    }
    let first = try await written("--seed 1")
    #expect(first.hasPrefix("the") && first.count == 3 + 80 + 1 && first.hasSuffix("\n"))
    #expect(try await written("--seed 1") == first)
    #expect(try await written("--seed 2") != first)
    let greedy = try await written("--temperature 0 --seed 1")
    #expect(try await written("--temperature 0 --seed 2") == greedy)
    #expect(try await written("--top-k 1 --seed 3") == greedy)
    #expect(try await written("--top-p 1e-9 --seed 3") == greedy)
    #expect(try await written("--top-k 50 --top-p 1 --seed 1") == first)
    #expect(greedy.contains("sat on the"))

    let unknown = try await apus(
      "generate --model lm.safetensors --device cpu --prompt caté€", in: folder)
    #expect(unknown.code == 1)
    #expect(unknown.errors.contains("'é' (U+00E9), '€' (U+20AC)"))
    let evaluated = try await apus(
      "predict --model lm.safetensors --input x.csv --output - --device cpu", in: folder)
    #expect(evaluated.code == 1 && evaluated.errors.contains("language model"))
  }

  @Test func bytePairsGoOnWithTheSameBits() async throws {
    let folder = try Folder()
    try folder.write(Self.text + "€👍🏽 naïve\n", "cats.txt")
    let base =
      "train --data cats.txt \(Self.small) --tokenizer bpe --vocabulary 280 --schedule constant "
      + "--device cpu --quiet --epochs "
    try await succeed(base + "3 --output whole.safetensors", in: folder)
    try await succeed(base + "1 --output part.safetensors --checkpoint-dir run", in: folder)
    try await succeed(
      base + "3 --output part.safetensors --checkpoint-dir run --resume", in: folder)
    #expect(try folder.bytes("whole.safetensors") == folder.bytes("part.safetensors"))
    // Any prompt is possible.
    let written = try await succeed(
      "generate --model run/last.safetensors --device cpu --prompt 東京 --length 30", in: folder)
    #expect(written.output.hasPrefix("東京"))
  }

  /// What a run that goes on has otherwise than its checkpoint.
  @Test func differencesAreNamed() async throws {
    let folder = try Folder()
    try folder.write(Self.text, "cats.txt")
    try folder.write(Self.text.replacing("cat", with: "cow"), "cows.txt")
    try folder.write(Self.text.replacing("cat", with: "tac"), "tacs.txt")
    let base =
      "train --data cats.txt \(Self.small) --epochs 1 --device cpu --output m.safetensors "
      + "--checkpoint-dir run"
    try await succeed(base + " --quiet", in: folder)
    for (old, new, part) in [
      ("--sequence-length 16", "--sequence-length 8", "--sequence-length was 16, is 8"),
      ("cats.txt", "cows.txt", "belongs to other data"),
      ("cats.txt", "tacs.txt", "belongs to other data"),
      ("--epochs", "--tokenizer bpe --epochs", "--tokenizer was character, is bpe"),
      ("--hidden-size 24", "--hidden-size 20", "hiddenSize of layer 'lstm' (LSTM) was 24, is 20"),
      ("--epochs", "--seed 3 --epochs", "seed was 0, is 3"),
    ] {
      let run = try await apus(base.replacing(old, with: new) + " --resume", in: folder)
      #expect(run.code == 1 && run.errors.contains(part), "\(new): \(run.errors)")
      #expect(run.errors.contains("[run/last.safetensors]"))
    }
  }

  /// A text without a line break: generating begins with a character that the model knows.
  @Test func generatesWithoutAPrompt() async throws {
    let folder = try Folder()
    try folder.write(String(repeating: "abab cdcd ", count: 60), "flat.txt")
    try await succeed(
      "train --data flat.txt \(Self.small) --epochs 1 --device cpu --output m.safetensors --quiet",
      in: folder)
    let written = try await succeed(
      "generate --model m.safetensors --device cpu --length 10", in: folder)
    #expect(written.output.hasPrefix(" ") && written.output.count == 12)
    let asked = try await apus("generate --model m.safetensors --prompt Z", in: folder)
    #expect(asked.code == 1 && asked.errors.contains("never seen: 'Z'"))
  }

  @Test(arguments: [
    ("--model char-lstm --target 1", "[--target] is for tables"),
    ("--model char-lstm --window 24", "[--window] is for time series"),
    ("--model char-lstm --mels 20", "[--mels] is for recordings"),
    ("--model char-lstm --max-length 20", "[--max-length] is for texts with classes"),
    ("--model char-lstm --label-smoothing 0.1", "label smoothing"),
    ("--model char-lstm --monitor validation-accuracy --early-stopping 2", "accuracy"),
    ("--model both.json", "steps to come"),
  ])
  func mistakesAreNamed(options: String, word: String) async throws {
    let folder = try Folder()
    try folder.write(Self.text, "cats.txt")
    try folder.write(
      """
      {"variableLength": true, "layers": [
        {"name": "embed", "type": "Embedding", "count": "vocabularySize", "size": 4},
        {"name": "gru", "type": "GRU", "hiddenSize": 4, "bidirectional": true},
        {"name": "head", "type": "Linear", "outFeatures": "vocabularySize"}]}
      """, "both.json")
    let ended = try await apus(
      "train --data cats.txt \(options) --device cpu --output o.safetensors", in: folder)
    #expect(ended.code == 1 && ended.errors.contains(word), "\(ended.errors)")
    #expect(!folder.has("o.safetensors"))
  }
}

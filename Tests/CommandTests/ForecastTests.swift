import Apus
import Foundation
import TestSupport
import Testing

/// Time series and tables of numbers, by the command alone.
@Suite(.timeLimit(.minutes(15)))
struct ForecastTests {
  /// Hours of a daily wave that a slower one moves, in units far from 1.
  private static func load(hours: Int) -> String {
    "date,temperature,load\n"
      + (0..<hours).map { hour in
        let day = hour / 24
        let slow = sin(Double(hour) / 61)
        let wave = sin(Double(hour % 24) / 24 * 2 * .pi) * (1 + 0.5 * slow)
        return
          "2024-\(String(format: "%02d-%02d", 1 + day / 28, 1 + day % 28)) "
          + "\(String(format: "%02d", hour % 24)):00,\(slow * 10),\(5000 + 900 * wave + 300 * slow)\n"
      }.joined()
  }

  struct Scores: Decodable {
    struct Naive: Decodable { let mae, rmse: Double }
    let mae, rmse, loss: Double
    let mase: Double?
    let count, horizon, season: Int
    let targets: [String]
    let naive: Naive
    let seasonalNaive: Naive?
  }

  @Test(arguments: TestDevices.fast.map(\.name))
  func forecastsFromTableToTable(device: String) async throws {
    let folder = try Folder()
    try folder.write(Self.load(hours: 1200), "load.csv")
    let run = try await succeed(
      "train --data load.csv --target load --window 48 --horizon 12 --season 24 "
        + "--model forecast-gru --device \(device) --epochs 10 --learning-rate 3e-3 --seed 1 "
        + "--output m.safetensors --log l.jsonl --checkpoint-dir run", in: folder)
    #expect(
      run.output.contains("seasonal naive (24)") && run.errors.contains("windows of load.csv"))
    #expect(run.errors.contains("mae"))
    let log = try folder.text("l.jsonl").split(separator: "\n")
    #expect(
      log.contains {
        $0.hasPrefix(#"{"event":"epoch""#) && $0.contains(#""validationFigures":{"mae""#)
      })
    let last = try #require(log.last)
    #expect(last.contains(#""seasonalNaiveMAE""#) && !last.contains("testAccuracy"))

    let evaluate = "evaluate --model m.safetensors --data load.csv --device \(device) --json"
    let scores = try JSONDecoder().decode(
      Scores.self, from: Data(await succeed(evaluate, in: folder).output.utf8))
    #expect(scores.count == 240 - 11 && scores.horizon == 12 && scores.targets == ["load"])
    #expect(scores.season == 24)
    let seasonal = try #require(scores.seasonalNaive)
    #expect(scores.mae < seasonal.mae && scores.mae < scores.naive.mae / 2)
    #expect(scores.mae <= scores.rmse && (scores.mase ?? 9) < 1)
    #expect(last.contains(#""mae":\#(scores.mae)"#), "as the run told")
    let whole = try JSONDecoder().decode(
      Scores.self,
      from: Data(await succeed(evaluate + " --split all --season 12", in: folder).output.utf8))
    #expect(whole.count == 1200 - 48 - 11 && whole.season == 12)

    // What comes after the end, in the units of the table, from the file alone.
    try await succeed(
      "predict --model m.safetensors --input load.csv --output f.csv --device \(device)",
      in: folder)
    let lines = try folder.text("f.csv").split(separator: "\n")
    #expect(lines.count == 13 && lines[0] == "date,load")
    #expect(lines[1].hasPrefix("2024-02-23 00:00,") && lines[12].hasPrefix("2024-02-23 11:00,"))
    let truth = Self.load(hours: 1212).split(separator: "\n").suffix(12)
    for (line, row) in zip(lines.dropFirst(), truth) {
      let found = try #require(Double(line.split(separator: ",")[1]))
      let wanted = try #require(Double(row.split(separator: ",")[2]))
      #expect(abs(found - wanted) < 500)
    }
    try await succeed(
      "predict --model run/last.safetensors --input load.csv --output f.json --device \(device)",
      in: folder)
    #expect(try folder.text("f.json").contains(#""load""#))
  }

  /// Rows that training has seen are judged only where the user says so; a gap is told by all commands.
  @Test func seenRowsAreNotJudged() async throws {
    let folder = try Folder()
    let rows = Self.load(hours: 300).split(separator: "\n").map { String($0) }
    func write(_ part: some Sequence<String>, _ name: String) throws {
      try folder.write(([rows[0]] + part).joined(separator: "\n") + "\n", name)
    }
    try write(rows[1...300], "all.csv")
    try write(rows[1...100], "seen.csv")
    try write(Array(rows[1...240]) + rows[261...300], "gap.csv")
    try write(rows[201...260], "later.csv")
    let train =
      "train --data all.csv --model forecast-gru --window 24 --horizon 6 --device cpu --epochs 1 "
      + "--inputs temperature --quiet --output "
    try await succeed(train + "m.safetensors", in: folder)
    try await succeed(train + "w.safetensors --test-fraction 0", in: folder)

    func failure(_ arguments: String, _ fragments: String...) async throws {
      let ended = try await apus("evaluate --device cpu --json " + arguments, in: folder)
      #expect(ended.code == 1 && ended.output.isEmpty, "\(arguments)")
      for part in fragments { #expect(ended.errors.contains(part), "\(part) in \(ended.errors)") }
    }
    try await failure("--model m.safetensors --data seen.csv", "has seen", "--split all")
    try await failure("--model m.safetensors --data seen.csv --split test", "--split all")
    try await failure("--model w.safetensors --data all.csv", "all 300 rows", "--split all")
    func scores(_ arguments: String) async throws -> (Scores, errors: String) {
      let run = try await succeed(
        "evaluate --model m.safetensors --device cpu --json --data " + arguments, in: folder)
      return (try JSONDecoder().decode(Scores.self, from: Data(run.output.utf8)), run.errors)
    }
    for split in ["all", "train"] {
      let seen = try await scores("seen.csv --split \(split)")
      #expect(seen.0.count == 100 - 24 - 5)
    }
    // Rows 240 to 259 are new; what the model sees for them may be old.
    let later = try await scores("later.csv")
    #expect(later.0.count == 20 - 5)
    let whole = try await scores("all.csv")
    #expect(whole.0.count == 60 - 5 && whole.0.targets == ["load"])
    #expect(!whole.errors.contains("evenly"))
    let gap = try await scores("gap.csv")
    #expect(gap.errors.contains("not evenly spaced"))
    let next = try await succeed(
      "predict --model m.safetensors --input gap.csv --output - --device cpu", in: folder)
    #expect(next.errors.contains("not evenly spaced") && next.output.hasPrefix("date,load\n"))
  }

  /// The level of a series takes nothing from its errors, nor from its forecasts.
  @Test func levelsLoseNothing() async throws {
    let folder = try Folder()
    func figures(level: Double, form: String) async throws -> Scores {
      let rows = (0..<240).map { index in
        let wave = 3 * sin(Double(index) * .pi / 12) + Double(index * 7 % 5) / 8
        return "\(index),\(String(format: "%.4f", level + wave))\n"
      }
      try folder.write("time,y\n" + rows.joined(), "s.csv")
      try await succeed(
        "train --data s.csv --model forecast-gru --window 24 --horizon 6 --season 24 --epochs 2 "
          + "--device cpu --quiet \(form) --output m.safetensors", in: folder)
      let found = try await succeed(
        "evaluate --model m.safetensors --data s.csv --device cpu --json", in: folder)
      return try JSONDecoder().decode(Scores.self, from: Data(found.output.utf8))
    }
    for form in ["--no-relative", "--relative"] {
      let low = try await figures(level: 10, form: form)
      let high = try await figures(level: 1e7, form: form)
      #expect(abs(low.naive.mae - high.naive.mae) < 1e-6)
      #expect(abs((low.seasonalNaive?.mae ?? 0) - (high.seasonalNaive?.mae ?? 1)) < 1e-6)
      // Where windows have a level its mean is rounded, and the model learns a little differently.
      let margin = form == "--relative" ? 1e-3 : 0.5
      #expect(abs(low.mae - high.mae) < margin, "\(form) \(low.mae) \(high.mae)")
    }
    let next = try await succeed(
      "predict --model m.safetensors --input s.csv --output - --device cpu", in: folder)
    let values = next.output.split(separator: "\n").dropFirst().map {
      Double($0.split(separator: ",")[1]) ?? 0
    }
    #expect(values.count == 6 && values.allSatisfy { abs($0 - 1e7) < 10 })
    #expect(values.contains { $0 != $0.rounded() })
  }

  @Test(arguments: [
    ("s.csv --model forecast-gru --window 0", 64, "--window"),
    ("s.csv --model forecast-gru --horizon 0", 64, "--horizon"),
    ("s.csv --model forecast-gru --stride 0", 64, "--stride"),
    ("s.csv --model forecast-gru --season 0", 64, "--season"),
    ("s.csv --model forecast-gru --hidden-size 0", 64, "--hidden-size"),
    ("t.txt --model char-lstm --num-layers 0", 64, "--num-layers"),
    ("t.txt --model char-lstm --embedding-size 0", 64, "--embedding-size"),
    ("t.txt --model char-lstm --min-count 0", 64, "--min-count"),
    ("t.txt --model char-lstm --tokenizer word", 64, "character or bpe"),
    ("words --mels 0", 64, "--mels"),
    ("words --coefficients 0 --features mfcc", 64, "--coefficients"),
    ("words --coefficients 30 --mels 20 --features mfcc", 64, "1...20"),
    ("words --coefficients 41 --features mfcc", 64, "1...40"),
    ("words --sample-rate 0", 64, "--sample-rate"),
    ("words --seconds 0", 64, "--seconds"),
    ("words --seconds nan", 64, "--seconds"),
    ("words --seconds 1e9", 64, "too long"),
    ("s.csv --model forecast-gru --categorical x", 1, "[--categorical] is for tables of examples"),
    ("s.csv --model forecast-gru --seconds 2", 1, "[--seconds] is for recordings"),
    ("s.csv --model forecast-gru --image-size 9", 1, "[--image-size] is for images"),
    ("s.csv --model mlp --sequence-length 9", 1, "[--sequence-length] is for language models"),
    ("iris --mels 20", 1, "[--mels] is for recordings"),
    ("digits --target 3", 1, "[--target] is for tables"),
    ("digits --no-relative --model mlp", 1, "digits"),
  ])
  func mistakesAreNamed(options: String, code: Int, word: String) async throws {
    let folder = try Folder()
    try folder.write(Self.load(hours: 300), "s.csv")
    try folder.write("some text to learn from", "t.txt")
    let ended = try await apus(
      "train --device cpu --epochs 1 --output m.safetensors --data \(options)", in: folder)
    #expect(ended.code == code && ended.errors.contains(word), "\(ended.code) \(ended.errors)")
    #expect(!folder.has("m.safetensors"))
  }

  @Test func oddSeriesAreNamed() async throws {
    let folder = try Folder()
    var rows = Self.load(hours: 300).split(separator: "\n").map { String($0) }
    try folder.write(rows.joined(separator: "\n"), "good.csv")
    func failure(_ arguments: String, names fragments: String...) async throws {
      let ended = try await apus(arguments, in: folder)
      #expect(ended.code != 0 && !ended.wasKilled)
      for part in fragments { #expect(ended.errors.contains(part), "\(part) in \(ended.errors)") }
    }
    let train = "train --model forecast-gru --epochs 1 --quiet --output m.safetensors --data "
    try await failure(train + "good.csv --target wind", names: "'wind'", "'temperature'")
    try await failure(train + "good.csv --window 250", names: "too short", "--window")
    try await failure(train + "good.csv --horizon 0", names: "positive")
    try await failure(train + "good.csv --time-column load", names: "good.csv:", "earlier")
    try await failure(
      train + "good.csv --monitor validation-accuracy", names: "no accuracy")
    try await failure(train + "good.csv --label-smoothing 0.1", names: "for classes")
    try await failure("train --data iris --loss mae --output m.safetensors", names: "classes")
    rows[7] = rows[6]
    try folder.write(rows.joined(separator: "\n"), "twice.csv")
    try await failure(train + "twice.csv", names: "twice.csv:8", "row before")
    #expect(!folder.has("m.safetensors"))
  }

  /// A regression on a table, whose target is far from 1.
  @Test func numbersFromATable() async throws {
    let folder = try Folder()
    let rows = (0..<200).map { index in
      let (a, b) = (Double(index % 20), Double(index * 7 % 13))
      return "\(a),\(index % 3 == 0 ? "red" : "blue"),\(b),\(10000 + 300 * a - 150.5 * b)"
    }
    try folder.write((["a,color,b,price"] + rows).joined(separator: "\n"), "t.csv")
    for loss in ["mse", "mae", "huber"] {
      let run = try await succeed(
        "train --data t.csv --model mlp-small --device cpu --epochs 60 --learning-rate 1e-2 "
          + "--loss \(loss) --output m.safetensors --log l.jsonl", in: folder)
      #expect(run.output.contains("mean absolute error"))
      let text = try await succeed(
        "evaluate --model m.safetensors --data t.csv --device cpu --json", in: folder
      ).output
      struct Report: Decodable { let mae, r2: Double; let count: Int }
      let report = try JSONDecoder().decode(Report.self, from: Data(text.utf8))
      #expect(report.r2 > 0.97 && report.count == 200, "\(loss)")
    }
    try folder.write("a,color,b\n3,red,0\n", "new.csv")
    let found = try await succeed(
      "predict --model m.safetensors --input new.csv --output -", in: folder)
    let line = try #require(found.output.split(separator: "\n").last)
    let price = try #require(Double(line.split(separator: ",")[1]))
    #expect(abs(price - 10900) < 400)
  }
}

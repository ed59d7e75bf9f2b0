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

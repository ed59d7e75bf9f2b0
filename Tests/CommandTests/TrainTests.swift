import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct TrainTests {
  @Test(arguments: TestDevices.all.map(\.name))
  func irisFromLogToReport(device: String) async throws {
    let folder = try Folder()
    let epochs = 25
    let run = try await succeed(
      "train --data iris --model mlp-small --device \(device) --epochs \(epochs) --batch-size 16 "
        + "--learning-rate 1e-2 --optimizer adam --seed 1 --output m.safetensors --log run.jsonl "
        + "--validation 0.1", in: folder)
    #expect(run.output.contains("test accuracy") && run.output.contains("m.safetensors"))

    let log = try LogLine.all(folder.text("run.jsonl"))
    let steps = log.filter { $0.event == "step" }
    let perEpoch = (108 + 15) / 16
    #expect(steps.compactMap(\.step) == Array(1...perEpoch * epochs))
    #expect(
      steps.compactMap(\.epoch) == (1...epochs).flatMap { Array(repeating: $0, count: perEpoch) })
    #expect(steps.allSatisfy { ($0.loss ?? .nan).isFinite })
    let summaries = log.filter { $0.event == "epoch" }
    #expect(summaries.compactMap(\.epoch) == Array(1...epochs))
    for line in summaries {
      #expect(line.trainLoss != nil && line.validationLoss != nil && line.validationAccuracy != nil)
      #expect((line.seconds ?? -1) >= 0)
    }
    #expect((summaries.last?.trainLoss ?? 1) < (summaries.first?.trainLoss ?? 0) / 3)
    let result = try #require(log.last)
    #expect(result.event == "result")
    #expect(log.count { $0.event == "result" } == 1)
    #expect(result.device == device)

    let report = try EvaluationJSON(
      await succeed(
        "evaluate --model m.safetensors --data iris --device \(device) --json", in: folder
      ).output)
    #expect(report.accuracy > 0.9 && report.count == 30)
    #expect(report.accuracy == result.testAccuracy)
    for score in [report.precision, report.recall, report.f1] { #expect((0.8...1).contains(score)) }
    #expect(report.confusionMatrix.map(\.count) == [3, 3, 3])
    #expect(report.confusionMatrix.joined().reduce(0, +) == 30)
  }

  /// The figure the project promises: 97 % of digits the model has not seen.
  @Test(arguments: TestDevices.fast.map(\.name))
  func digitsAreLearnt(device: String) async throws {
    let folder = try Folder()
    try await succeed(
      "train --data digits --model mlp --device \(device) --epochs 12 --batch-size 64 "
        + "--learning-rate 1e-3 --optimizer adam --seed 1 --output m.safetensors --log l.jsonl",
      in: folder)
    let result = try #require(LogLine.all(folder.text("l.jsonl")).last)
    #expect((result.testAccuracy ?? 0) >= 0.97)
    // A model belongs to no device.
    for other in TestDevices.all.map(\.name) {
      let report = try EvaluationJSON(
        await succeed(
          "evaluate --model m.safetensors --data digits --device \(other) --json", in: folder
        ).output)
      #expect(abs(report.accuracy - (result.testAccuracy ?? 0)) < 0.003, "on \(other)")
    }
  }

  @Test(arguments: TestDevices.all.map(\.name))
  func oneSeedOneFile(device: String) async throws {
    let folder = try Folder()
    // Dropout and shuffling included; the reference takes its time over the larger set.
    let data = device == "reference" ? "iris" : "digits"
    for (name, seed) in [("a", 7), ("b", 7), ("c", 8)] {
      try await succeed(
        "train --data \(data) --model mlp --device \(device) --epochs 1 --seed \(seed) "
          + "--output \(name).safetensors --quiet", in: folder)
    }
    #expect(try folder.bytes("a.safetensors") == folder.bytes("b.safetensors"))
    #expect(try folder.bytes("a.safetensors") != folder.bytes("c.safetensors"))
  }

  @Test func quietSaysNothing() async throws {
    let folder = try Folder()
    let run = try await succeed(
      "train --data iris --model linear --epochs 2 --output m.safetensors --quiet", in: folder)
    #expect(run.output.isEmpty && run.errors.isEmpty)
    // A name of one letter is a name too.
    try await succeed("train --data iris --model linear --epochs 1 --output m --quiet", in: folder)
    #expect(folder.names.sorted() == ["m", "m.safetensors"])
  }

  @Test func pipedProgressIsPlain() async throws {
    let folder = try Folder()
    let run = try await succeed(
      "train --data iris --model linear --device cpu --epochs 3 --output m.safetensors", in: folder)
    let text = run.output + run.errors
    #expect(!text.contains("\u{1B}") && !text.contains("\r"))
    let lines = run.errors.split(separator: "\n").filter { $0.hasPrefix("epoch ") }
    #expect(lines.count == 3)
    #expect(lines.allSatisfy { $0.contains("loss") && $0.contains("validation loss") })
  }

  @Test func withoutValidation() async throws {
    let folder = try Folder()
    try await succeed(
      "train --data iris --model linear --epochs 2 --validation 0 --batch-size 120 "
        + "--output m.safetensors --log l.jsonl --quiet", in: folder)
    let log = try LogLine.all(folder.text("l.jsonl"))
    #expect(log.count { $0.event == "step" } == 2, "all 120 training examples in one step")
    for line in log where line.event == "epoch" {
      #expect(line.trainLoss != nil && line.validationLoss == nil)
    }
  }

  /// Two epochs go well, then the learning rate leaps: the message names the step, what is kept and how
  /// gradients were, and what is kept is the second epoch.
  @Test func divergenceKeepsTheLastGoodEpoch() async throws {
    let folder = try Folder()
    let train =
      "train --data iris --model mlp-small --device cpu --optimizer sgd --seed 4 --quiet "
      + "--checkpoint-dir run --output m.safetensors --schedule "
    try await succeed(train + "constant --epochs 2", in: folder)
    let good = try folder.bytes("m.safetensors")
    try FileManager.default.removeItem(atPath: folder.path("run"))
    let ended = try await apus(
      train + "multistep:2,1e36 --epochs 5 --log l.jsonl --gradient-report", in: folder)
    #expect(ended.code == 1 && !ended.wasKilled)
    for fragment in ["step", "epoch 3", "m.safetensors keeps the model after epoch 2", "last good"]
    {
      #expect(ended.errors.contains(fragment), "\(fragment) in \(ended.errors)")
    }
    #expect(try folder.bytes("m.safetensors") == good)
    try await succeed(
      "evaluate --model run/last.safetensors --data iris --device cpu --json", in: folder)
    let log = try LogLine.all(folder.text("l.jsonl"))
    #expect(log.filter { $0.event == "gradients" }.compactMap(\.epoch).prefix(2) == [1, 2])
    #expect(log.allSatisfy { $0.event != "result" })
  }

  /// What no gradient reaches is named, with what helps.
  @Test func gradientReportNamesTheLayer() async throws {
    let folder = try Folder()
    try folder.write(
      """
      {"layers": [{"name": "first", "type": "Linear", "outFeatures": 8},
        {"name": "dead", "type": "Linear", "outFeatures": 8, "initializer": "zeros"},
        {"name": "last", "type": "Linear", "outFeatures": "classCount"}]}
      """, "dead.json")
    let run = try await succeed(
      "train --data iris --model dead.json --device cpu --epochs 2 --learning-rate 0 "
        + "--gradient-report 2 --batch-size 40 --output m.safetensors --log l.jsonl", in: folder)
    #expect(run.errors.contains("vanishing: first.weight"))
    #expect(run.errors.contains("initialisation"))
    let lines = try folder.text("l.jsonl").split(separator: "\n")
      .filter { $0.hasPrefix(#"{"event":"gradients","#) }
    // Of three steps an epoch the first of each and every second: 1, 2, 4, 6.
    #expect(lines.count == 4)
    #expect(lines.allSatisfy { $0.contains(#""finding":"vanishing""#) })
  }

  @Test func hugeBatchIsOneStep() async throws {
    let folder = try Folder()
    try await succeed(
      "train --data iris --model linear --epochs 2 --batch-size \(Int.max) "
        + "--output m.safetensors --log l.jsonl --quiet", in: folder)
    #expect(try LogLine.all(folder.text("l.jsonl")).count { $0.event == "step" } == 2)
  }

  @Test func everyOptimizerAndSchedule() async throws {
    let folder = try Folder()
    let runs = [
      "sgd --momentum 0.9 --clip-norm 1", "adam --schedule linear", "adamw --schedule constant",
      "rmsprop --clip-value 0.1", "adagrad --label-smoothing 0.1 --weight-decay 1e-3",
    ]
    for options in runs {
      try await succeed(
        "train --data iris --model mlp-small --device cpu --epochs 10 --learning-rate 0.01 "
          + "--output m.safetensors --log l.jsonl --quiet --optimizer \(options)", in: folder)
      let epochs = try LogLine.all(folder.text("l.jsonl")).filter { $0.event == "epoch" }
      #expect((epochs.last?.trainLoss ?? 1) < (epochs.first?.trainLoss ?? 0), "\(options)")
    }
  }

  @Test func ownDescriptionAndPicture() async throws {
    let folder = try Folder()
    try folder.write(
      """
      {"layers": [
        {"name": "flat", "type": "Flatten"},
        {"name": "a", "type": "Linear", "outFeatures": 32, "activation": "ReLU"},
        {"name": "b", "type": "Linear", "outFeatures": 32},
        {"name": "sum", "type": "Add", "inputs": ["a", "b"]},
        {"name": "out", "type": "Linear", "outFeatures": "classCount"}
      ]}
      """, "residual.json")
    try await succeed(
      "train --data digits --model residual.json --device cpu --epochs 8 --learning-rate 1e-2 "
        + "--output m.safetensors --plot p.svg --quiet", in: folder)
    #expect(try folder.text("p.svg").hasPrefix("<svg"))
    let report = try EvaluationJSON(
      await succeed("evaluate --model m.safetensors --data digits --json", in: folder).output)
    #expect(report.accuracy > 0.9)
  }
}

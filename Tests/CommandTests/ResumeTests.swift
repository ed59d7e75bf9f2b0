import Apus
import Foundation
import TestSupport
import Testing

/// Runs that are cut off and go on.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ResumeTests {
  private static let model = """
    {"layers": [{"name": "flatten", "type": "Flatten"},
      {"name": "fc1", "type": "Linear", "outFeatures": 48, "activation": "ReLU"},
      {"name": "drop", "type": "Dropout", "probability": 0.2},
      {"name": "norm", "type": "LayerNorm"},
      {"name": "fc2", "type": "Linear", "outFeatures": "classCount"}]}
    """

  private func wait(
    for word: String, in log: String, of run: ApusProcess, _ folder: Folder
  ) async throws {
    for _ in 0..<6000 {
      if (try? folder.text(log))?.contains(word) == true { return }
      try #require(run.isRunning, "the run ended too early")
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("'\(word)' never came")
  }

  /// Lines without the time they took.
  private func timeless(_ log: String) -> [String] {
    log.split(separator: "\n").filter { !$0.contains(#""event":"result""#) }.map {
      String($0).replacing(/"seconds":[-+.0-9e]+,?/, with: "")
    }
  }

  /// Killed without warning at random moments, which may lie amid the writing of a file.
  @Test(arguments: TestDevices.fast.map(\.name), ["", "--early-stopping 30 --schedule plateau"])
  func killedFiveTimes(device: String, options: String) async throws {
    let folder = try Folder()
    try folder.write(Self.model, "net.json")
    let train =
      "train --data digits --model net.json --device \(device) --epochs 90 --batch-size 50 --seed 6 "
      + "--optimizer adamw --quiet \(options) "
    try await succeed(train + "--output whole.safetensors --log whole.jsonl", in: folder)

    let resumed = train + "--output m.safetensors --checkpoint-dir run --log l.jsonl "
    var (kills, tries) = (0, 0)
    while kills < 5 {
      let log = "l.jsonl"
      let before = try? folder.bytes(log).count
      let run = try ApusProcess(
        (resumed + (kills == 0 ? "" : "--resume")).split(separator: " ").map(String.init),
        in: folder)
      // Until it trains: the log has been begun anew and grows.
      for _ in 0..<6000 where run.isRunning {
        if let size = try? folder.bytes(log).count, size > 0, size != before { break }
        try await Task.sleep(for: .milliseconds(2))
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...120)))
      run.killHard()
      if try await run.ended().wasKilled {
        kills += 1
        continue
      }
      // On a busy machine a run may be through before it is killed; then all begins anew.
      tries += 1
      try #require(tries < 5, "a run of enough epochs to be killed five times")
      for name in ["run", "l.jsonl", "m.safetensors"] {
        try? FileManager.default.removeItem(atPath: folder.path(name))
      }
      kills = 0
    }
    let end = try await succeed(
      resumed.replacing("--quiet", with: "") + "--resume", in: folder)
    #expect(
      end.errors.contains("resuming after epoch") || end.errors.contains("no epoch is complete"))
    #expect(try folder.bytes("m.safetensors") == folder.bytes("whole.safetensors"))
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("run"))
    #expect(names.sorted() == ["best.safetensors", "last.safetensors"], "no halves are left")
    // The log is that of one run; a kill between checkpoint and log costs the line of an epoch.
    let (told, whole) = (
      timeless(try folder.text("l.jsonl")), timeless(try folder.text("whole.jsonl"))
    )
    #expect(
      told.filter { $0.contains(#""event":"step""#) }
        == whole.filter { $0.contains(#""event":"step""#) })
    #expect(Set(told).isSubset(of: whole) && told.count >= whole.count - 5)
  }

  @Test func checkpointsPredict() async throws {
    let folder = try Folder()
    try await succeed(
      "train --data digits --model mlp-small --device cpu --epochs 4 --learning-rate 1e-2 "
        + "--output m.safetensors --checkpoint-dir run --quiet", in: folder)
    func report(_ model: String) async throws -> EvaluationJSON {
      try EvaluationJSON(
        await succeed("evaluate --model \(model) --data digits --device cpu --json", in: folder)
          .output)
    }
    let expected = try await report("m.safetensors")
    let last = try await report("run/last.safetensors")
    #expect(last.accuracy == expected.accuracy && last.confusionMatrix == expected.confusionMatrix)
    #expect(try await report("run/best.safetensors").accuracy > 0.8)
    let again = try await apus(
      "train --data digits --model mlp-small --device cpu --epochs 4 --learning-rate 1e-2 "
        + "--output again.safetensors --resume run/last.safetensors", in: folder)
    #expect(again.code == 0 && again.errors.contains("resuming after epoch 4"))
    #expect(try folder.bytes("again.safetensors") == folder.bytes("m.safetensors"))
  }

  @Test func goesOnOnAnotherDeviceAndLonger() async throws {
    let folder = try Folder()
    let train =
      "train --data iris --model mlp-small --schedule step:4,0.5 --output m.safetensors "
      + "--checkpoint-dir run --log l.jsonl"
    try await succeed("\(train) --epochs 5 --device reference", in: folder)
    for (index, device) in TestDevices.fast.map(\.name).enumerated() {
      let run = try await succeed(
        "\(train) --epochs \(6 + index) --device \(device) --resume", in: folder)
      #expect(run.errors.contains("resuming after epoch \(5 + index)"))
      #expect(run.errors.contains("it was written on"))
    }
    let epochs = try LogLine.all(folder.text("l.jsonl")).filter { $0.event == "epoch" }
    #expect(epochs.compactMap(\.epoch) == Array(1...5 + TestDevices.fast.count))
  }

  @Test func interruptedAndResumed() async throws {
    let folder = try Folder()
    let train = "train --data digits --model mlp-small --device cpu --schedule constant"
    let saving = "--output m.safetensors --checkpoint-dir run --log l.jsonl"
    let run = try ApusProcess(
      "\(train) --epochs 1000000 \(saving)".split(separator: " ").map(String.init), in: folder)
    try await wait(for: #""event":"epoch""#, in: "l.jsonl", of: run, folder)
    run.interrupt()
    let ended = try await run.ended()
    #expect(ended.code == 130 && ended.errors.contains("holds the model after epoch"))
    let done = try #require(
      LogLine.all(folder.text("l.jsonl")).last { $0.event == "epoch" }?.epoch)
    try await succeed("\(train) --epochs \(done + 2) \(saving) --resume", in: folder)
    try await succeed("\(train) --epochs \(done + 2) --output whole.safetensors", in: folder)
    #expect(try folder.bytes("m.safetensors") == folder.bytes("whole.safetensors"))
  }

  @Test func stopsEarly() async throws {
    let folder = try Folder()
    // Nothing is learnt at a rate of 0, so the first epoch stays the best.
    let run = try await succeed(
      "train --data iris --model linear --device cpu --epochs 50 --learning-rate 0 "
        + "--early-stopping 3 --monitor validation-accuracy --output m.safetensors --log l.jsonl",
      in: folder)
    #expect(run.errors.contains("stopped early") && run.errors.contains("epoch 1"))
    let log = try LogLine.all(folder.text("l.jsonl"))
    #expect(log.count { $0.event == "epoch" } == 4)
    let stop = try #require(log.first { $0.event == "early-stop" })
    #expect(stop.epoch == 4 && stop.bestEpoch == 1 && stop.monitor == "validation-accuracy")
    #expect(log.last?.event == "result")
  }

  /// From digits to a task with other classes: the first layer is taken over and stays.
  @Test func fineTunes() async throws {
    let folder = try Folder()
    try folder.write(await Fixtures.model.value, "digits.safetensors")
    try Fixtures.writeImages(to: folder, "images")
    let run = try await succeed(
      "train --data images --model mlp-small --device cpu --epochs 3 --init-from digits.safetensors "
        + "--freeze fc1 --output m.safetensors", in: folder)
    #expect(run.errors.contains("2 of 4 tensors"))
    #expect(run.errors.contains("of another shape, not loaded: fc2.bias"))
    func weights(_ name: String) throws -> [Float] {
      try Safetensors(path: folder.path(name)).tensor("fc1.weight", on: TestDevices.reference)
        .scalars()
    }
    #expect(try weights("m.safetensors") == weights("digits.safetensors"))
  }

  @Test func regularisedRunsLearn() async throws {
    let folder = try Folder()
    for options in [
      "--l1 1e-4 --max-norm 2", "--class-weights balanced --label-smoothing 0.1",
      "--schedule onecycle:0.02", "--schedule multistep:3,6,0.3 --warmup-steps 4",
      "--schedule plateau:0.5,1 --warmup-epochs 1", "--schedule cosine --warmup-epochs 2",
    ] {
      try await succeed(
        "train --data iris --model mlp-small --device cpu --epochs 10 --learning-rate 0.01 "
          + "--output m.safetensors --log l.jsonl --quiet \(options)", in: folder)
      let epochs = try LogLine.all(folder.text("l.jsonl")).filter { $0.event == "epoch" }
      #expect((epochs.last?.trainLoss ?? 1) < (epochs.first?.trainLoss ?? 0), "\(options)")
    }
  }
}

import Foundation
import Testing

@Suite(.timeLimit(.minutes(15)))
struct InterruptTests {
  /// Waits until the log of a run holds a word.
  private func wait(for word: String, in log: String, of run: ApusProcess, _ folder: Folder)
    async throws
  {
    for _ in 0..<3000 {
      if (try? folder.text(log))?.contains(word) == true { return }
      try #require(run.isRunning, "the run ended too early")
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("'\(word)' never came")
  }

  @Test func keepsTheLastEpoch() async throws {
    let folder = try Folder()
    let run = try ApusProcess(
      [
        "train", "--data", "digits", "--model", "mlp-small", "--device", "cpu", "--epochs",
        "1000000", "--output", "m.safetensors", "--log", "l.jsonl",
      ], in: folder)
    try await wait(for: #""event":"epoch""#, in: "l.jsonl", of: run, folder)
    run.interrupt()
    let ended = try await run.ended()
    #expect(ended.code == 130 && !ended.wasKilled)
    #expect(ended.errors.contains("interrupted") && ended.errors.contains("m.safetensors"))
    #expect(try LogLine.all(folder.text("l.jsonl")).allSatisfy { $0.event != "result" })
    try await succeed("evaluate --model m.safetensors --data digits --json", in: folder)
    #expect(folder.names.sorted() == ["l.jsonl", "m.safetensors"])
  }

  /// An epoch takes the naive device many minutes; its first step is logged at once.
  @Test(arguments: [false, true])
  func beforeTheFirstEpochNothingIsWritten(exists: Bool) async throws {
    let folder = try Folder()
    if exists { try folder.write("old", "m.safetensors") }
    try folder.write(
      """
      {"layers": [{"name": "flatten", "type": "Flatten"},
        {"name": "fc1", "type": "Linear", "outFeatures": 1500, "activation": "ReLU"},
        {"name": "fc2", "type": "Linear", "outFeatures": 1500},
        {"name": "fc3", "type": "Linear", "outFeatures": "classCount"}]}
      """, "wide.json")
    let run = try ApusProcess(
      [
        "train", "--data", "digits", "--model", "wide.json", "--batch-size", "1", "--device",
        "reference", "--output", "m.safetensors", "--log", "l.jsonl",
      ], in: folder)
    try await wait(for: #""event":"step""#, in: "l.jsonl", of: run, folder)
    run.interrupt()
    let ended = try await run.ended()
    #expect(ended.code == 130 && !ended.wasKilled)
    #expect(ended.errors.contains("nothing was written"))
    #expect(folder.has("m.safetensors") == exists)
    if exists { #expect(try folder.text("m.safetensors") == "old") }
  }
}

import Apus
import Foundation
import TestSupport
import Testing

/// Recordings from folder to label, by the command alone.
@Suite(.timeLimit(.minutes(15)))
struct SpeechTests {
  /// Three words that differ in how their pitch moves, said by two speakers in differing lengths and
  /// loudness, with a little noise.
  private static func record(in folder: Folder, _ name: String) throws {
    var state: UInt64 = 1
    func noise() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 24) - 0.5
    }
    for (word, slope) in [("down", -1.0), ("flat", 0), ("up", 1)] {
      for (speaker, pitch) in [("ann", 900.0), ("bob", 700)] {
        for index in 0..<16 {
          let count = 2400 + 40 * index
          let samples = (0..<count).map { place in
            let time = Double(place) / 8000
            let angle = 2 * Double.pi * (pitch + slope * 900 * (time - 0.15)) * time
            return Float(0.2 + 0.02 * Double(index)) * Float(sin(angle)) + 0.05 * noise()
          }
          try folder.write(
            Data(WAV.encode(AudioClip(samples: samples, sampleRate: 8000))),
            "\(name)/\(word)_\(speaker)_\(index).wav")
        }
      }
    }
  }

  @Test(arguments: TestDevices.fast.map(\.name))
  func wordsAreLearnt(device: String) async throws {
    let folder = try Folder()
    try Self.record(in: folder, "words")
    let run = try await succeed(
      "train --data words --model speech-crnn --device \(device) --seconds 0.4 --epochs 25 "
        + "--batch-size 16 --learning-rate 3e-3 --seed 2 --output m.safetensors --log l.jsonl "
        + "--gradient-report", in: folder)
    #expect(run.errors.contains("index 0 to 4"))
    let result = try #require(LogLine.all(folder.text("l.jsonl")).last)
    #expect((result.testAccuracy ?? 0) >= 0.9)

    // The test part is the set's own, for evaluation too.
    let report = try EvaluationJSON(
      await succeed(
        "evaluate --model m.safetensors --data words --device \(device) --json", in: folder
      ).output)
    #expect(report.count == 30 && report.accuracy == result.testAccuracy)
    let all = try EvaluationJSON(
      await succeed(
        "evaluate --model m.safetensors --data words --device \(device) --split all --json",
        in: folder
      ).output)
    #expect(all.count == 96)
    let bob = try EvaluationJSON(
      await succeed(
        "evaluate --model m.safetensors --data words --device \(device) --test-speaker bob --json",
        in: folder
      ).output)
    #expect(bob.count == 48)

    // The model file alone is enough for a recording, of any rate.
    let slow = (0..<4000).map { Float(sin(0.44 * Double($0))) / 3 }
    try folder.write(
      Data(WAV.encode(AudioClip(samples: slow, sampleRate: 11025))), "new/a tone.wav")
    try folder.write(folder.bytes("words/up_ann_2.wav"), "new/z.wav")
    try await succeed(
      "predict --model m.safetensors --input new --output p.json --device \(device)", in: folder)
    let found = try JSONDecoder().decode(PredictionJSON.self, from: folder.bytes("p.json"))
    #expect(found.classes == ["down", "flat", "up"])
    #expect(found.predictions.map(\.prediction) == ["flat", "up"])
    let single = try await succeed(
      "predict --model m.safetensors --input words/down_bob_1.wav --output - --device \(device)",
      in: folder)
    #expect(single.output.contains("0,down,"))
  }

  @Test func badRecordingsAreNamed() async throws {
    let folder = try Folder()
    try Self.record(in: folder, "words")
    func failure(_ arguments: String, names fragments: String...) async throws {
      let ended = try await apus(arguments, in: folder)
      #expect(ended.code != 0 && !ended.wasKilled)
      for part in fragments { #expect(ended.errors.contains(part), "\(part) in \(ended.errors)") }
    }
    let train = "train --data words --model speech-crnn --epochs 1 --output m.safetensors --quiet "
    try await failure(train + "--test-speaker eve", names: "'eve'", "ann, bob")
    try await failure(train + "--seconds 0.001", names: "too short")
    try await failure(train + "--mels 0", names: "bands")
    try await failure(train + "--sample-rate 0", names: "sample rate")
    try folder.write(
      folder.bytes("words/up_ann_0.wav").prefix(40) + Data(count: 4), "words/a_a_9.wav")
    try await failure(train, names: "a_a_9.wav", "without samples")
    try FileManager.default.removeItem(atPath: folder.path("words/a_a_9.wav"))
    try folder.write(folder.bytes("words/up_ann_0.wav").prefix(99), "words/up_ann_99.wav")
    try await failure(train, names: "up_ann_99.wav", "cut off")
    #expect(!folder.has("m.safetensors"))
  }
}

import Apus
import Foundation
import Testing

@Suite(.timeLimit(.minutes(15)))
struct BadInputTests {
  @Test(
    arguments: BadInput.images + BadInput.tables + BadInput.models + BadInput.places
      + BadInput.runs)
  func isRefused(_ bad: BadInput) async throws {
    let folder = try Folder()
    let precious = "what a user would not want to lose"
    try folder.write(precious, BadInput.kept)
    try folder.write(precious, "kept.csv")
    try await bad.prepare(folder, Fixtures.model.value)
    let before = folder.names.sorted()

    let run = try await apus(bad.arguments, in: folder)
    #expect(run.code == 1 && !run.wasKilled, "\(run.code) \(run.errors)")
    let message = run.errors.split(separator: "\n").last { $0.hasPrefix("Error: [") } ?? ""
    for fragment in bad.fragments { #expect(message.contains(fragment), "\(run.errors)") }
    #expect(run.errors.split(separator: "\n").count < 5, "a message, no dump: \(run.errors)")
    #expect(try folder.text(BadInput.kept) == precious)
    #expect(try folder.text("kept.csv") == precious)
    #expect(folder.names.sorted() == before, "nothing is left behind")
  }

  /// The epochs before the divergence are not lost.
  @Test func divergenceKeepsTheLastGoodModel() async throws {
    let folder = try Folder()
    // Weights grow about ninefold a step, which numbers bear for some forty steps.
    let run = try await apus(
      "train --data digits --model linear --device cpu --epochs 9 --optimizer sgd "
        + "--schedule constant --learning-rate 0.01 --weight-decay 1000 --seed 1 "
        + "--output m.safetensors --log l.jsonl", in: folder)
    #expect(run.code == 1 && !run.wasKilled)
    #expect(run.errors.contains("learning rate"))
    let log = try LogLine.all(folder.text("l.jsonl"))
    let epochs = log.count { $0.event == "epoch" }
    #expect(epochs >= 1 && epochs < 9)
    try await succeed("evaluate --model m.safetensors --data digits --json", in: folder)
  }

  @Test func noOpenCLPlatform() async throws {
    let folder = try Folder()
    try FileManager.default.createDirectory(
      atPath: folder.path("vendors"), withIntermediateDirectories: true)
    let environment = ["OCL_ICD_VENDORS": folder.path("vendors")]
    let train = "train --data iris --model linear --epochs 1 --output m.safetensors --device"
    let run = try await apus("\(train) opencl", in: folder, environment: environment)
    #expect(run.code == 1 && !run.wasKilled)
    #expect(run.errors.contains("no OpenCL platform") && run.errors.contains("pocl-opencl-icd"))
    #expect(!folder.has("m.safetensors"))
    for device in ["cpu", "auto", "reference"] {
      try await succeed("\(train) \(device)", in: folder, environment: environment)
    }
    let listing = try await succeed("devices", in: folder, environment: environment)
    #expect(listing.output.contains("no OpenCL device"))
  }

  @Test(arguments: [
    "", "train", "train --data iris", "train --output m.safetensors", "practise",
    "train --data iris --output m --epochs 0", "train --data iris --output m --epochs many",
    "train --data iris --output m --epochs 99999999999999999999",
    "train --data iris --output m --batch-size 0", "train --data iris --output m --batch-size -3",
    "train --data iris --output m --learning-rate nan",
    "train --data iris --output m --learning-rate=-1", "train --data iris --output m --seed -1",
    "train --data iris --output m --optimizer lion", "train --data iris --output m --momentum 0.9",
    "train --data iris --output m --validation 1", "train --data iris --output m --validation nan",
    "train --data iris --output m --test-fraction=-0.1",
    "train --data iris --output m --clip-norm=-1", "train --data iris --output m --clip-value 0",
    "train --data iris --output m --clip-norm 1 --clip-value 1",
    "train --data iris --output m --weight-decay=-1", "train --data iris --output m --frobnicate",
    "train --data iris --output m --label-smoothing 2",
    "train --data iris --output m --schedule sometimes",
    "train --data iris --output m --schedule step:0",
    "train --data iris --output m --schedule step",
    "train --data iris --output m --schedule multistep:9,3,0.1",
    "train --data iris --output m --schedule exponential:nan",
    "train --data iris --output m --schedule plateau:2,3",
    "train --data iris --output m --schedule plateau --validation 0",
    "train --data iris --output m --schedule onecycle --warmup-epochs 1",
    "train --data iris --output m --warmup-epochs=-1",
    "train --data iris --output m --warmup-steps 99999999999",
    "train --data iris --output m --l1 nan",
    "train --data iris --output m --l1=-1", "train --data iris --output m --max-norm 0",
    "train --data iris --output m --class-weights some",
    "train --data iris --output m --early-stopping 0",
    "train --data iris --output m --early-stopping 3 --validation 0",
    "train --data iris --output m --early-stopping 3 --min-delta=-1",
    "train --data iris --output m --monitor test-loss",
    "train --data iris --output m --resume", "evaluate --model m", "predict --model m",
    "evaluate --model m --data iris --split none", "summary", "devices --xml",
    "summary --model mlp --input-shape 0", "summary --model mlp --input-shape 3,x",
    "summary --model mlp --input-shape 3,,8", "summary --model mlp --input-shape 8,",
    "summary --model mlp --batch-size \(Int.max)", "summary --model mlp --classes \(Int.max)",
    "tune --model mlp --benchmark lstm", "tune --model mlp --input-shape 0",
    "tune --model mlp --input-shape 1,x", "tune --model mlp --batch-size 0",
    "tune --model mlp --classes 0", "tune --budget 0s", "tune --reset --filter transpose",
    "tune --reset --model mlp", "tune --reset --benchmark lstm", "tune --reset --again",
    "tune --reset --budget 5s", "tune --reset --batch-size 64",
  ])
  func usage(_ arguments: String) async throws {
    let folder = try Folder()
    let run = try await apus(arguments, in: folder)
    if arguments.isEmpty {
      #expect(run.code == 0 && run.output.contains("USAGE"))
      return
    }
    #expect(run.code == 64 && !run.wasKilled, "\(run.code) \(run.errors)")
    #expect(run.errors.contains("Error:") && run.errors.contains("Usage:"))
    #expect(folder.names.isEmpty)
  }
}

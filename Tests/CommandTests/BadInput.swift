import Apus
import Foundation
import Testing

/// A command that must fail, the files it finds, and what the message must name.
struct BadInput: Sendable, CustomTestStringConvertible {
  let arguments: String
  let fragments: [String]
  let prepare: @Sendable (Folder, _ model: Data) async throws -> Void

  init(
    _ arguments: String, names fragments: String...,
    prepare: @escaping @Sendable (Folder, _ model: Data) async throws -> Void = { _, _ in }
  ) {
    self.arguments = arguments
    self.fragments = fragments
    self.prepare = prepare
  }

  var testDescription: String { arguments }

  /// Where commands are told to write; it holds something already.
  static let kept = "kept.safetensors"

  static func training(
    _ data: String, _ options: String = "", names fragments: String...,
    prepare: @escaping @Sendable (Folder, _ model: Data) async throws -> Void = { _, _ in }
  ) -> BadInput {
    BadInput(
      "train --data \(data) --output \(kept) --device cpu \(options)", fragments, prepare)
  }

  private init(
    _ arguments: String, _ fragments: [String],
    _ prepare: @escaping @Sendable (Folder, _ model: Data) async throws -> Void
  ) {
    self.arguments = arguments
    self.fragments = fragments
    self.prepare = prepare
  }

  /// A table with the given lines.
  private static func table(_ lines: String..., names fragments: String...) -> BadInput {
    let text = lines.joined(separator: "\n") + "\n"
    return BadInput("train --data t.csv --output \(kept) --device cpu", fragments) { folder, _ in
      try folder.write(text, "t.csv")
    }
  }

  private static func modelFile(
    _ fragments: String..., change: @escaping @Sendable (Data) -> Data
  ) -> BadInput {
    BadInput(
      "evaluate --model broken.safetensors --data digits", ["broken.safetensors"] + fragments
    ) { folder, model in try folder.write(change(model), "broken.safetensors") }
  }

  /// Prediction from a file, over an output that exists.
  private static func input(
    _ name: String, _ fragments: String..., content: @escaping @Sendable () throws -> [UInt8]
  ) -> BadInput {
    BadInput("predict --model m.safetensors --input \(name) --output kept.csv", [name] + fragments)
    { folder, model in
      try folder.write(model, "m.safetensors")
      try folder.write(Data(try content()), name)
    }
  }

  static let images: [BadInput] = [
    training("images", names: "train-images-idx3-ubyte", "truncated") { folder, _ in
      try Fixtures.writeImages(to: folder, "images")
      try folder.write(
        Fixtures.idx([40, 8, 8]).dropLast(100), "images/train-images-idx3-ubyte")
    },
    training("images", names: "train-images-idx3-ubyte", "claims") { folder, _ in
      try Fixtures.writeImages(to: folder, "images")
      try folder.write(
        Fixtures.idx([40, 8, 8], claiming: [.max, .max, .max]), "images/train-images-idx3-ubyte")
    },
    training("images", names: "train-labels-idx1-ubyte", "39", "40") { folder, _ in
      try Fixtures.writeImages(to: folder, "images")
      try folder.write(Fixtures.idx([39]), "images/train-labels-idx1-ubyte")
    },
    training("images", names: "images", "t10k-labels-idx1-ubyte") { folder, _ in
      try Fixtures.writeImages(to: folder, "images")
      try FileManager.default.removeItem(atPath: folder.path("images/t10k-labels-idx1-ubyte"))
    },
    input("x.idx", "truncated") { Array(Fixtures.idx([2, 8, 8]).dropLast()) },
    input("x.idx", "[2, 9, 9]", "[1, 8, 8]") { Array(Fixtures.idx([2, 9, 9])) },
    input("x.png") { Array("no picture at all".utf8) },
    input("x.png", "9x9", "8x8") {
      try PNG.encode(try HostArray([UInt8](repeating: 1, count: 81), shape: [1, 9, 9]))
    },
  ]

  static let tables: [BadInput] = [
    table("a,b,kind", "1,2,x", "3,y", names: "t.csv:3", "2 fields", "3"),
    table("a,b,kind", "1,2,x", "3,nan,y", "5,6,x", names: "t.csv:3:3", "'b'"),
    table("a,b,kind", "1,2,x", "3,inf,y", "5,6,x", names: "t.csv:3:3", "'b'"),
    table("a,b,kind", "1,\"2,x", names: "t.csv"),
    table("a,a,kind", "1,2,x", "2,2,y", names: "t.csv", "'a'"),
    table("a,b,kind", names: "t.csv"),
    table("", names: "t.csv", "no records"),
    training("t.csv", "--target color", names: "t.csv", "'color'", "kind") { folder, _ in
      try folder.write("a,kind\n1,x\n2,y\n", "t.csv")
    },
    training("t.csv", "--target kind --loss mse", names: "t.csv:2", "'kind'", "rose") { folder, _ in
      try folder.write(Fixtures.flowers(), "t.csv")
    },
    training("x.npz", names: "x.npz", "element 7 of x", "nan") { folder, _ in
      let values = (0..<40).map { $0 == 7 ? Float.nan : Float($0) }
      try NPZ.write(
        [
          "x": try HostArray(values, shape: [20, 2]),
          "y": try HostArray((0..<20).map { Int32($0 % 2) }, shape: [20]),
        ], to: folder.path("x.npz"))
    },
    input("x.npy", "nan") {
      try NPY.encode(try HostArray([Float](repeating: .nan, count: 64), shape: [8, 8]))
    },
    input("x.csv", "3 columns", "64") { Array("1,2,3\n".utf8) },
  ]

  static let models: [BadInput] = [
    modelFile("no valid safetensors") { $0.prefix(200) },
    modelFile("no valid safetensors") { $0.dropLast(64) },
    modelFile("belong to nothing") { $0 + Data([1, 2, 3, 4]) },
    modelFile("header claims") { Fixtures.rewritten($0, claiming: .max) },
    modelFile("header claims") { Fixtures.rewritten($0, claiming: UInt64(Int64.max)) },
    modelFile("appears twice") {
      Fixtures.rewritten($0) { header in
        #"{"fc1.bias":{"dtype":"F32","shape":[64],"data_offsets":[0,256]},"# + header.dropFirst()
      }
    },
    modelFile("fc1.weight") {
      Fixtures.rewritten($0) { $0.replacing(#"[1,8,8]"#, with: "[1,8,9]") }
    },
    modelFile("no Apus model description") {
      Fixtures.rewritten($0) { $0.replacing("apus.description", with: "apus.descriptiom") }
    },
    BadInput("evaluate --model m.safetensors --data digits", names: "input", "4611686018427387904")
    {
      folder, model in
      let shape = "[4611686018427387904,4611686018427387904]"
      try folder.write(
        Fixtures.rewritten(model) { $0.replacing("[1,8,8]", with: shape) }, "m.safetensors")
    },
    BadInput("evaluate --model m.safetensors --data iris", names: "iris", "[4]", "[1, 8, 8]") {
      try $0.write($1, "m.safetensors")
    },
    BadInput("evaluate --model nowhere --data iris", names: "nowhere", "no such file"),
    BadInput("evaluate --model . --data iris", names: "[.]", "folder"),
    BadInput("summary --model .safetensors", names: ".safetensors", "no such file"),
    training("digits", "--model resnet-9000", names: "resnet-9000", "mlp-small"),
    training("digits", "--model d.json", names: "d.json", "JSON") { folder, _ in
      try folder.write(#"{"layers": ["#, "d.json")
    },
    training("digits", "--model d.json", names: "layers") { folder, _ in
      try folder.write("{}", "d.json")
    },
    training("digits", "--model d.json", names: "'a' (Convolver)", "Linear") { folder, _ in
      try folder.write(#"{"layers": [{"name": "a", "type": "Convolver"}]}"#, "d.json")
    },
    training("digits", "--model d.json", names: "d.json", "[7]", "[10]") { folder, _ in
      try folder.write(
        #"{"layers": [{"name": "f", "type": "Flatten"}, {"name": "a", "type": "Linear", "#
          + #""outFeatures": 7}]}"#, "d.json")
    },
    training("digits", "--model d.json", names: "[28, 28]", "[1, 8, 8]") { folder, _ in
      try folder.write(
        #"{"inputShape": [28, 28], "layers": [{"name": "f", "type": "Flatten"}]}"#, "d.json")
    },
  ]

  static let places: [BadInput] = [
    training("nonsense", names: "nonsense", "digits", "iris"),
    training("nowhere.csv", names: "nowhere.csv"),
    training("t.xyz", names: "t.xyz", ".csv") { folder, _ in try folder.write("1", "t.xyz") },
    training("mnist", "--offline --data-dir .", names: "mnist", "train-images-idx3-ubyte.gz"),
    BadInput("train --data iris --output \(kept) --device quantum", names: "quantum", "opencl:N"),
    BadInput("train --data iris --output \(kept) --device opencl:99", names: "opencl:99"),
    BadInput("train --data iris --output \(kept) --device opencl:-1", names: "opencl:-1"),
    BadInput(
      "train --data iris --output \(kept) --device cpu --precision tf32", names: "'cpu'", "tf32",
      "compute capability 8.0", "--precision float32"),
    BadInput(
      "evaluate --model nowhere --data iris --device reference --precision bfloat16",
      names: "'reference'", "bfloat16", "--precision float32"),
    BadInput(
      "bench --device cpu --filter gemm-64 --precision tf32", names: "'cpu'", "--precision float32"),
    BadInput("tune --device cpu --precision tf32", names: "'cpu'", "--precision float32"),
    BadInput("train --data iris --output .", names: "[.]", "directory"),
    BadInput("train --data iris --output no/m.safetensors", names: "no/m.safetensors"),
    BadInput("train --data iris --output /proc/m.safetensors", names: "/proc/m.safetensors"),
    BadInput("train --data iris --output /dev/null", names: "/dev/null", "regular file"),
    training("iris", "--log no/run.jsonl", names: "no/run.jsonl"),
    training("iris", "--plot /proc/p.svg", names: "/proc/p.svg"),
    training("iris", "--log \(kept)", names: kept, "--log", "--output"),
    BadInput("train --data t.csv --output t.csv", names: "t.csv", "--data", "--output") {
      folder, _ in try folder.write(Fixtures.flowers(), "t.csv")
    },
    BadInput("predict --model m.safetensors --input x.csv --output kept.txt", names: "kept.txt"),
    BadInput("predict --model m.safetensors --input no.csv --output kept.csv", names: "no.csv") {
      try $0.write($1, "m.safetensors")
    },
    BadInput("demo --output-dir /proc/none", names: "/proc/none"),
    // Weights that the first step throws out of the range of numbers; the loss was still finite.
    training(
      "digits", "--model linear --optimizer sgd --learning-rate 1e38 --batch-size 2000",
      names: "finite", "learning rate"),
    training(
      "digits", "--model mlp-small --learning-rate 1e30", names: "step 2", "learning rate"),
  ]

  /// A folder with the checkpoints of a short run on iris.
  private static func resuming(
    _ options: String, data: String = "iris", names fragments: String...,
    change: @escaping @Sendable (Data) -> Data = { $0 }
  ) -> BadInput {
    BadInput(
      "train --data \(data) --output \(kept) --device cpu --model linear --epochs 3 "
        + "--checkpoint-dir run --resume \(options)", fragments
    ) { folder, _ in
      try folder.write(change(try await Fixtures.checkpoint.value), "run/last.safetensors")
    }
  }

  /// Runs that cannot go on or begin.
  static let runs: [BadInput] = [
    resuming("", names: "run/last.safetensors", "truncated") { $0.dropLast(40) },
    resuming("", names: "run/last.safetensors", "no valid safetensors") { $0.prefix(5) },
    resuming("", names: "run/last.safetensors", "checksum") {
      var data = $0
      data[data.count - 6] ^= 1
      return data
    },
    resuming("", names: "run/last.safetensors", "version 8") {
      Fixtures.rewritten($0) { $0.replacing(#"\"version\":1}"#, with: #"\"version\":8}"#) }
    },
    resuming("--learning-rate 0.5", names: "learningRate was 0.001, is 0.5"),
    resuming("--seed 4", names: "run/last.safetensors", "other data"),
    resuming("--validation 0.3", names: "run/last.safetensors", "other data"),
    resuming("--preprocessing none", names: "run/last.safetensors", "other data"),
    resuming("--epochs 4", names: "schedule cosine depends"),
    resuming("--schedule step:2", names: "schedule was cosine, is step:2,0.1"),
    resuming("--model mlp-small", names: "another model", "mlp-small", "layer 'fc1'"),
    resuming("", data: "digits", names: "run/last.safetensors", "other data", "[4]"),
    resuming("--freeze fc1.bias", names: "frozenPrefixes"),
    BadInput(
      "train --data iris --output \(kept) --device cpu --checkpoint-dir no --resume",
      names: "[no]", "no such folder"),
    training("iris", "--resume nowhere.safetensors", names: "nowhere.safetensors", "no such file"),
    training("iris", "--resume m.safetensors", names: "m.safetensors", "no checkpoint") {
      try $0.write($1, "m.safetensors")
    },
    training("iris", "--checkpoint-dir run", names: "[run]", "--resume") { folder, _ in
      try folder.write("precious", "run/last.safetensors")
    },
    training("iris", "--checkpoint-dir file", names: "[file]", "folder") { folder, _ in
      try folder.write("precious", "file")
    },
    training("iris", "--checkpoint-dir /proc/none", names: "/proc/none"),
    training("iris", "--init-from nowhere", names: "nowhere", "no such file"),
    training(
      "iris", "--init-from m.safetensors --model linear", names: "m.safetensors", "fc1.weight"
    ) {
      try $0.write($1, "m.safetensors")
    },
    training("iris", "--freeze conv", names: "'conv'", "fc1.weight"),
    training("iris", "--model linear --freeze fc1", names: "frozen"),
    training("iris", "--epochs 2 --warmup-epochs 2", names: "warm-up"),
  ]
}

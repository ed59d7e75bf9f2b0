import Apus
import Foundation
import Testing

/// Files that tests need, made once.
enum Fixtures {
  /// A model of digits, trained well enough to tell them apart.
  static let model = Task {
    let folder = try Folder()
    try await succeed(
      "train --data digits --model mlp-small --device cpu --epochs 15 --learning-rate 1e-2 "
        + "--seed 3 --output m.safetensors --quiet", in: folder)
    return try folder.bytes("m.safetensors")
  }

  /// The checkpoint of the last of three epochs.
  static let checkpoint = Task {
    let folder = try Folder()
    try await succeed(
      "train --data iris --model linear --device cpu --epochs 3 --checkpoint-dir run "
        + "--output m.safetensors --quiet", in: folder)
    return try folder.bytes("run/last.safetensors")
  }

  /// Held-out digits `[count, 1, 8, 8]` of 0–16.
  static func digits(_ count: Int) throws -> Dataset {
    let loaded = try DataSource.load("digits")
    return try (loaded.test ?? loaded.train).subset(Array(0..<count))
  }

  /// A table with a column of words, which gives the class away together with `size`.
  static func flowers(header: Bool = true) -> String {
    let kinds = [("red", "rose"), ("blue", "iris"), ("white", "lily")]
    var lines = header ? ["color,size,weight,kind"] : []
    for index in 0..<60 {
      let (color, kind) = kinds[index % 3]
      let size = Double(index % 3) + Double(index * 7 % 10) / 20
      lines.append("\(color),\(size),\(Double(index * 13 % 17) / 10),\(kind)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// An IDX file of bytes.
  static func idx(_ extents: [Int], claiming claim: [UInt32]? = nil) -> Data {
    var data = Data([0, 0, 8, UInt8(extents.count)])
    for extent in claim ?? extents.map({ UInt32($0) }) {
      withUnsafeBytes(of: extent.bigEndian) { data.append(contentsOf: $0) }
    }
    data.append(contentsOf: (0..<extents.reduce(1, *)).map { UInt8($0 % 4) })
    return data
  }

  /// A folder of image files under the names of the MNIST family.
  static func writeImages(to folder: Folder, _ name: String) throws {
    try folder.write(idx([40, 8, 8]), name + "/train-images-idx3-ubyte")
    try folder.write(idx([40]), name + "/train-labels-idx1-ubyte")
    try folder.write(idx([12, 8, 8]), name + "/t10k-images-idx3-ubyte")
    try folder.write(idx([12]), name + "/t10k-labels-idx1-ubyte")
  }

  /// A safetensors file with its header rewritten.
  static func rewritten(
    _ file: Data, claiming size: UInt64? = nil, _ change: (String) -> String = { $0 }
  ) -> Data {
    let count = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = Data(change(String(decoding: file.dropFirst(8).prefix(count), as: UTF8.self)).utf8)
    var data = Data()
    withUnsafeBytes(of: (size ?? UInt64(header.count)).littleEndian) {
      data.append(contentsOf: $0)
    }
    return data + header + file.dropFirst(8 + count)
  }
}

/// What scripts read from the log; names as in the contract.
struct LogLine: Decodable {
  let event: String
  let step, epoch: Int?
  let loss, trainLoss, validationLoss, validationAccuracy, seconds, testAccuracy: Double?
  let device, monitor: String?
  let bestEpoch: Int?

  static func all(_ text: String) throws -> [LogLine] {
    let decoder = JSONDecoder()
    // JSON has no other numbers; a run that diverges says so in words.
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return try text.split(separator: "\n").map {
      try decoder.decode(LogLine.self, from: Data($0.utf8))
    }
  }
}

/// What `evaluate --json` prints.
struct EvaluationJSON: Decodable {
  let accuracy, precision, recall, f1: Double
  let confusionMatrix: [[Int]]
  let count: Int

  init(_ text: String) throws {
    self = try JSONDecoder().decode(EvaluationJSON.self, from: Data(text.utf8))
  }
}

/// What `predict` writes as JSON.
struct PredictionJSON: Decodable {
  struct Row: Decodable {
    let prediction: String
    let probability: Double
    let probabilities: [String: Double]
  }
  let classes: [String]
  let predictions: [Row]
}

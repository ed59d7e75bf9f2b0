import ApusData
import ApusDevice
import ApusNN
import ApusOptimizers
import ApusTensor
import Foundation

/// A checkpoint is a model file with more: further tensors under `checkpoint/`, and the metadata
/// `apus.checkpoint`. So it also predicts.
extension Checkpoint {
  private struct Header: Codable {
    let version: Int
    let step: Int
    let learningRate: Float
    let progress: Progress
  }

  private struct Version: Decodable { let version: Int }

  private static let version = 1
  private static let key = "apus.checkpoint"
  private static let optimizerPrefix = ModelFile.furtherTensors + "optimizer/"
  private static let bestPrefix = ModelFile.furtherTensors + "best/"

  /// Reads a file, on any device.
  /// - Throws: ``ApusError`` that names the file and what is wrong with it.
  public init(path: String, on device: Device) throws {
    let file = try Safetensors(path: path)
    func wrong(_ message: String) -> ApusError { ApusError(.file, operation: path, message) }
    guard let json = file.metadata[Self.key] else {
      throw wrong(
        "is no checkpoint, so nothing can go on from it; `--checkpoint-dir` writes them, and "
          + "`--init-from` starts anew from the weights of any file")
    }
    let header: Header
    do {
      let version = try JSONDecoder().decode(Version.self, from: Data(json.utf8)).version
      guard version == Self.version else {
        throw wrong("is a checkpoint of version \(version), this reads \(Self.version)")
      }
      header = try Self.decoder.decode(Header.self, from: Data(json.utf8))
    } catch let error as DecodingError {
      throw wrong("its metadata '\(Self.key)' is damaged: \(error)")
    }
    var (weights, slots, best) = ([String: Tensor](), [String: Tensor](), [String: Tensor]())
    for name in file.entries.keys {
      let tensor = try file.tensor(name, on: device)
      if name.hasPrefix(Self.optimizerPrefix) {
        slots[String(name.dropFirst(Self.optimizerPrefix.count))] = tensor
      } else if name.hasPrefix(Self.bestPrefix) {
        best[String(name.dropFirst(Self.bestPrefix.count))] = tensor
      } else {
        weights[name] = tensor
      }
    }
    let progress = header.progress
    guard (0...1_000_000).contains(progress.epoch), header.step >= 0,
      header.learningRate.isFinite,
      progress.best.map({ (1...max(progress.epoch, 1)).contains($0.epoch) }) ?? true
    else {
      throw wrong(
        "its metadata '\(Self.key)' is damaged: it claims epoch \(progress.epoch), step "
          + "\(header.step)")
    }
    guard best.isEmpty || best.mapValues(\.shape) == weights.mapValues(\.shape) else {
      throw wrong("the weights of the best epoch are not those of the same model")
    }
    // The best weights of a best epoch are the weights.
    let isStopping = progress.options.earlyStopping != nil && progress.best != nil
    self.init(
      progress: progress, weights: weights,
      optimizer: OptimizerState(
        stepCount: header.step, learningRate: header.learningRate, tensors: slots),
      bestWeights: isStopping ? (progress.isBest ? weights : best) : nil, path: path,
      description: try file.metadata["apus.description"].map {
        try ModelDescription(json: Data($0.utf8), source: path)
      }, tokenizer: try Self.tokenizer(in: file.metadata, path: path))
  }

  private static func tokenizer(
    in metadata: [String: String], path: String
  ) throws -> Tokenizer? {
    func read<T: Decodable>(_ key: String, as type: T.Type) throws -> T? {
      guard let json = metadata[key] else { return nil }
      do {
        return try JSONDecoder().decode(type, from: Data(json.utf8))
      } catch {
        throw ApusError(.file, operation: path, "its metadata '\(key)' is damaged: \(error)")
      }
    }
    return try read("apus.tokenizer", as: Tokenizer.self)
      ?? read("apus.text", as: TextEncoding.self)?.tokenizer
  }

  /// Writes the file, atomically. Waits for the device.
  /// - Parameter model: Adds what predicting from the file needs.
  public func write(to path: String, model: (any StoredModel)? = nil) throws {
    var metadata = try model?.file().metadata() ?? [:]
    let header = Header(
      version: Self.version, step: optimizer.stepCount, learningRate: optimizer.learningRate,
      progress: progress)
    metadata[Self.key] = String(decoding: try Self.encoder.encode(header), as: UTF8.self)
    var tensors = weights
    for (name, tensor) in optimizer.tensors { tensors[Self.optimizerPrefix + name] = tensor }
    if let bestWeights, !progress.isBest {
      for (name, tensor) in bestWeights { tensors[Self.bestPrefix + name] = tensor }
    }
    try Safetensors.write(tensors, metadata: metadata, hasChecksum: true, to: path)
  }

  // An infinite limit is a limit too.
  private static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }

  private static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }
}

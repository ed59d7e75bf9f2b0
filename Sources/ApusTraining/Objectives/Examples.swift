import ApusData
import ApusDevice
import Foundation

/// The training and validation examples of an objective, on their way to the device.
struct Examples: Sendable {
  let training: BatchSource
  let validation: BatchSource?
  let batchSize: Int
  let fingerprint: String

  /// - Throws: ``ApusError`` where there are no examples, or what the options do to them does not fit.
  init(
    training: Dataset, validation: Dataset?, preprocessing: Preprocessing,
    options: TrainingOptions, device: Device
  ) throws {
    guard training.count > 0 else {
      throw ApusError(.data, operation: training.name, "there are no training examples")
    }
    self.training = try BatchSource(
      training, preprocessing: preprocessing, augmentation: options.augmentation,
      workers: options.workers, on: device)
    self.validation = try validation.map {
      try BatchSource($0, preprocessing: preprocessing, workers: options.workers, on: device)
    }
    batchSize = options.batchSize
    fingerprint = try Self.fingerprint(training, validation, preprocessing)
  }

  /// The last batch may be smaller.
  var stepsPerEpoch: Int {
    // There are examples, and the batch size may be as large as numbers get.
    1 + (training.count - 1) / batchSize
  }

  func batches(key: RandomKey) throws -> Batches {
    try training.batches(key: key, batchSize: batchSize)
  }

  /// A hash of all that the model gets to see.
  private static func fingerprint(
    _ training: Dataset, _ validation: Dataset?, _ preprocessing: Preprocessing
  ) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var method = Fingerprint()
    method.add(String(decoding: try encoder.encode(preprocessing), as: UTF8.self))
    let parts = [training.fingerprint, method] + (validation.map { [$0.fingerprint] } ?? [])
    return parts.map(\.text).joined(separator: "-")
  }
}

import ApusData
import ApusDevice
import ApusMetrics
import ApusNN
import ApusTensor
import Foundation

/// What a classifier does on labelled examples.
public struct Evaluation: Sendable {
  /// The most probable class of each example.
  public let predictions: [Int32]
  /// Mean cross-entropy.
  public let loss: Double
  public let accuracy: Double

  /// Examples that go through the model at once: many, but of large ones, or for models of large
  /// feature maps, only so many that the largest map has some ten million values.
  static func batchSize(for model: any Layer, featureCount: Int) -> Int {
    let maps = (model as? GraphModel)?.nodes.map { $0.outputShape.reduce(1, *) } ?? []
    return min(1024, max(1, (10 << 20) / max(maps.max() ?? 1, featureCount, 1)))
  }
  /// Threads that make batches ready where examples are not on the device.
  static var workers: Int { min(UsableProcessors.count, 8) }

  /// Runs the model over all examples of a preprocessed data set.
  /// - Parameter model: Gives logits `[N, C]`.
  public init(of model: any Layer, on data: Dataset, device: Device) throws {
    try self.init(
      of: model, source: try BatchSource(data, workers: Self.workers, on: device),
      labels: data.labels)
  }

  init(of model: any Layer, source: BatchSource, labels: [Int32]) throws {
    guard source.count > 0 else {
      throw ApusError(.data, operation: "evaluate", "there are no examples")
    }
    var found: [Tensor] = []
    var losses: [Tensor] = []
    var batches = source.examples(
      batchSize: Self.batchSize(for: model, featureCount: source.featureCount))
    while let batch = try batches.next() {
      let logits = try batch.output(of: model, .evaluation)
      losses.append(try crossEntropy(logits, batch.y, reduction: .sum))
      found.append(try logits.argMax(axis: 1))
    }
    let inTurn = try Tensor.concatenated(found).scalars(as: Int32.self)
    predictions = source.restored(inTurn)
    let parts = try Tensor.stacked(losses).scalars()
    loss = parts.reduce(0) { $0 + Double($1) } / Double(source.count)
    let hits = zip(predictions, labels).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) }
    accuracy = Double(hits) / Double(source.count)
  }
}

extension GraphModel {
  /// Class probabilities of preprocessed examples.
  /// - Parameter features: Row-major `[count] + inputShape`.
  /// - Returns: Row-major `[count, classes]`.
  public func probabilities(of features: [Float], on device: Device) throws -> [Float] {
    guard inputs.count == 1, outputShapes.count == 1, outputShapes[0].count == 1 else {
      throw ApusError(
        .shape, operation: description.name ?? "model",
        "predicting classes needs one input and one output of one axis, not \(outputShapes)")
    }
    let shape = inputs[0].shape
    let size = shape.reduce(1, *)
    guard features.count % size == 0 else {
      throw ApusError(
        .shape, operation: description.name ?? "model",
        "\(features.count) values are no whole number of examples of shape \(shape)")
    }
    let count = features.count / size
    var parts: [Tensor] = []
    let batchSize = Evaluation.batchSize(for: self, featureCount: size)
    for start in stride(from: 0, to: count, by: batchSize) {
      let end = min(start + batchSize, count)
      let x = try Tensor(
        Array(features[start * size..<end * size]), shape: [end - start] + shape, on: device)
      parts.append(try self(x, .evaluation).softmax(axis: 1))
    }
    return try parts.flatMap { try $0.scalars() }
  }
}

import ApusData
import ApusDevice
import ApusNN
import ApusTensor

extension GraphModel {
  /// Class probabilities of rows of tokens, row-major `[count, classes]`. Rows of similar lengths share a
  /// batch.
  func probabilities(ofTokens data: Dataset, on device: Device) throws -> [Float] {
    guard let lengths = data.lengths, let classes = outputShapes.first?.last else { return [] }
    let order = LengthBuckets.byLength(Array(lengths.indices), lengths)
    let size = Evaluation.batchSize(for: self, featureCount: data.featureCount)
    var result = [Float](repeating: 0, count: data.count * classes)
    for start in stride(from: 0, to: order.count, by: size) {
      let rows = Array(order[start..<min(start + size, order.count)])
      let batch = try data.tokenBatch(rows)
      let x = try Tensor(
        batch.tokens, shape: [rows.count, batch.lengths.max() ?? 0], on: device)
      let found = try self(x, lengths: batch.lengths, .evaluation).softmax(axis: 1).scalars()
      for (place, row) in rows.enumerated() {
        for index in 0..<classes { result[row * classes + index] = found[place * classes + index] }
      }
    }
    return result
  }
}

extension TextEncoding {
  /// - Throws: ``ApusError`` where a model's table of tokens is too small for the vocabulary.
  func requireFit(_ model: GraphModel, _ place: String) throws {
    guard model.description.takesTokens,
      model.description.vocabularySize == tokenizer.vocabularySize
    else {
      throw ApusError(
        .file, operation: place,
        "its tokenizer has \(tokenizer.vocabularySize) tokens, which its model does not take")
    }
  }
}

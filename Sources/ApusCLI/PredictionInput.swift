import Apus
import Foundation

/// A file of examples to classify.
struct PredictionInput {
  let path: String
  let hasHeader: Bool?

  /// The examples as the classifier's model takes them, before preprocessing.
  func examples(for classifier: Classifier) throws -> Dataset {
    let shape = classifier.model.inputs[0].shape
    let plain = path.lowercased().hasSuffix(".gz") ? String(path.dropLast(3)) : path
    switch (plain as NSString).pathExtension.lowercased() {
    case "csv", "tsv", "txt", "data", "tab":
      let schema = classifier.schema ?? numericSchema(shape.reduce(1, *), classifier)
      let table = try schema.dataset(
        readingFrom: path, options: DataOptions(hasHeader: hasHeader))
      return try dataset(table.features, shape)
    case "npy": return try dataset(array: NPY.read(path), shape)
    case "png": return try image(shape, classifier)
    default:
      // IDX files carry no fixed ending: `t10k-images-idx3-ubyte`.
      return try dataset(array: IDX.read(path), shape)
    }
  }

  private func dataset(_ features: [Float], _ shape: [Int]) throws -> Dataset {
    let examples = try Dataset(name: path, features: features, featureShape: shape)
    guard examples.count > 0 else {
      throw ApusError(.data, operation: path, "holds no examples")
    }
    for (index, value) in features.enumerated() where !value.isFinite {
      let size = examples.featureCount
      throw ApusError(
        .data, operation: path,
        "value \(index % size) of example \(index / size) is \(value); it must be finite")
    }
    return examples
  }

  /// An array `[count] + shape`, or one example of `shape`, or either flattened.
  private func dataset(array: HostArray, _ shape: [Int]) throws -> Dataset {
    let size = shape.reduce(1, *)
    let fits =
      Self.matches(array.shape, shape)
      || array.shape.first.map {
        array.count > 0 && array.count / size == $0 && array.count % size == 0
          && Self.matches(Array(array.shape.dropFirst()), shape)
      } ?? false
    guard fits else {
      throw ApusError(
        .shape, operation: path,
        "holds an array of shape \(array.shape); the model takes examples of shape \(shape), "
          + "one alone or many along the first axis")
    }
    return try dataset(array.floats(), shape)
  }

  /// Equal but for axes of extent 1, or flattened.
  private static func matches(_ given: [Int], _ wanted: [Int]) -> Bool {
    given.filter { $0 != 1 } == wanted.filter { $0 != 1 } || given == [wanted.reduce(1, *)]
  }

  private func image(_ shape: [Int], _ classifier: Classifier) throws -> Dataset {
    guard shape.count == 3, shape[0] == 1 || shape[0] == 3 else {
      throw ApusError(
        .shape, operation: path, "the model takes examples of shape \(shape), not images")
    }
    let (channels, height, width) = (shape[0], shape[1], shape[2])
    let pixels = try PNG.read(path, channels: channels == 1 ? .gray : .rgb)
    guard pixels.shape == shape else {
      throw ApusError(
        .shape, operation: path,
        "the image has \(pixels.shape[2])x\(pixels.shape[1]) pixels, the model takes "
          + "\(width)x\(height)")
    }
    // From bytes to the range that the training images had.
    let scale = (classifier.pixelMaximum ?? 255) / 255
    return try dataset(pixels.floats().map { $0 * scale }, shape)
  }

  /// Columns of numbers, for a model that was trained on no table.
  private func numericSchema(_ count: Int, _ classifier: Classifier) -> TableSchema {
    TableSchema(
      columns: (0..<count).map {
        TableSchema.Column(name: "\($0 + 1)", kind: .numeric, position: $0)
      }, targetName: "target", targetPosition: count, target: .classes(classifier.classNames),
      hasHeader: false)
  }
}

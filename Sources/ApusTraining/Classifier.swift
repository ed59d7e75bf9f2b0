import ApusData
import ApusDevice
import ApusNN
import ApusTensor
import Foundation

/// A model with all it needs to predict from raw examples: preprocessing, class names and, for tables,
/// the encoding of columns. This is what a model file holds.
public struct Classifier: StoredModel {
  public let model: GraphModel
  public let preprocessing: Preprocessing
  public let classNames: [String]
  public let schema: TableSchema?
  /// The largest pixel value of the training images; an image file's bytes are scaled to it.
  public let pixelMaximum: Float?
  /// For models of images whose size was a matter of choice: what others are scaled to.
  public let imageSize: ImageSize?
  public let device: Device

  public init(
    model: GraphModel, preprocessing: Preprocessing, classNames: [String],
    schema: TableSchema? = nil, pixelMaximum: Float? = nil, imageSize: ImageSize? = nil,
    device: Device
  ) {
    self.model = model
    self.preprocessing = preprocessing
    self.classNames = classNames
    self.schema = schema
    self.pixelMaximum = pixelMaximum
    self.imageSize = imageSize
    self.device = device
  }

  /// Reads a model file.
  public init(path: String, on device: Device) throws {
    let file = try ModelFile(path: path, on: device)
    func decoded<T: Decodable>(_ key: String, as type: T.Type) throws -> T? {
      guard let json = file.extras[key] else { return nil }
      do {
        return try JSONDecoder().decode(type, from: Data(json.utf8))
      } catch {
        throw ApusError(
          .file, operation: path, "its metadata 'apus.\(key)' is damaged: \(error)")
      }
    }
    self.init(
      model: file.model,
      preprocessing: try decoded("preprocessing", as: Preprocessing.self) ?? .none,
      classNames: file.classNames, schema: try decoded("schema", as: TableSchema.self),
      pixelMaximum: try decoded("pixelMaximum", as: [Float].self)?.first,
      imageSize: try decoded("imageSize", as: ImageSize.self), device: device)
    guard let outputs = model.outputShapes.first?.last, outputs == classNames.count else {
      throw ApusError(
        .file, operation: path,
        "names \(classNames.count) classes, but the model's output has shape \(model.outputShapes)")
    }
  }

  public func file() throws -> ModelFile {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    func text(_ value: some Encodable) throws -> String {
      String(decoding: try encoder.encode(value), as: UTF8.self)
    }
    var extras = ["preprocessing": try text(preprocessing)]
    if let schema { extras["schema"] = try text(schema) }
    if let pixelMaximum { extras["pixelMaximum"] = try text([pixelMaximum]) }
    if let imageSize { extras["imageSize"] = try text(imageSize) }
    return ModelFile(model, classNames: classNames, extras: extras)
  }

  /// Evaluates raw labelled examples, with batch normalisations folded into convolutions.
  /// - Throws: ``ApusError`` where shape or classes of the data do not fit.
  public func evaluate(_ data: Dataset) throws -> Evaluation {
    try requireShape(data.featureShape, data.name)
    guard data.classNames == classNames || data.classNames.isEmpty else {
      throw ApusError(
        .data, operation: data.name,
        "has classes \(data.classNames.prefix(12)), the model knows \(classNames.prefix(12))")
    }
    return try Evaluation(
      of: try model.folded(),
      source: try BatchSource(
        data, preprocessing: preprocessing, workers: Evaluation.workers, on: device),
      labels: data.labels)
  }

  /// Class probabilities of raw examples, row-major `[count, classes]`.
  public func probabilities(_ data: Dataset) throws -> [Float] {
    try requireShape(data.featureShape, data.name)
    let folded = try model.folded()
    // In parts, so that images are not all floats at once, or all decoded.
    let size = Evaluation.batchSize(for: folded, featureCount: data.featureCount)
    let starts = Array(stride(from: 0, to: data.count, by: size))
    let parts = Prefetcher<[Float]>(count: starts.count, workers: Evaluation.workers) {
      [preprocessing] index, _ in
      let part = try data.subset(Array(starts[index]..<min(starts[index] + size, data.count)))
      var values: [Float] = []
      values.reserveCapacity(part.count * part.featureCount)
      for index in 0..<part.count { try part.append(index, to: &values) }
      try preprocessing.apply(&values, featureCount: part.featureCount)
      return values
    }
    var probabilities: [Float] = []
    while let part = try parts.next() {
      probabilities += try folded.probabilities(of: part, on: device)
    }
    return probabilities
  }

  private func requireShape(_ shape: [Int], _ name: String) throws {
    guard shape == model.inputs[0].shape else {
      throw ApusError(
        .shape, operation: name,
        "examples have shape \(shape), the model takes \(model.inputs[0].shape)")
    }
  }
}

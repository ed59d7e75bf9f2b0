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
  /// For models of recordings: how these become features.
  public let audio: AudioFeatures?
  /// For models of texts: how these become tokens, and which columns of a table are text and class.
  public let text: TextEncoding?
  public let textSchema: TextSchema?
  public let device: Device
  /// The file it was read from, for messages.
  package private(set) var path: String?

  public init(
    model: GraphModel, preprocessing: Preprocessing, classNames: [String],
    schema: TableSchema? = nil, pixelMaximum: Float? = nil, imageSize: ImageSize? = nil,
    audio: AudioFeatures? = nil, text: TextEncoding? = nil, textSchema: TextSchema? = nil,
    device: Device
  ) {
    self.model = model
    self.preprocessing = preprocessing
    self.classNames = classNames
    self.schema = schema
    self.pixelMaximum = pixelMaximum
    self.imageSize = imageSize
    self.audio = audio
    self.text = text
    self.textSchema = textSchema
    self.device = device
  }

  /// Reads a model file.
  public init(path: String, on device: Device) throws {
    try self.init(ModelFile(path: path, on: device), path: path, on: device)
  }

  /// - Parameter path: The file's, for messages.
  /// - Throws: ``ApusError`` for a model of another kind.
  public init(_ file: ModelFile, path: String, on device: Device) throws {
    guard !Regressor.isStored(in: file) else {
      throw ApusError(
        .file, operation: path, "is a model of numbers; one of classes is needed here")
    }
    guard !LanguageModel.isStored(in: file) else {
      throw ApusError(
        .file, operation: path,
        "is a language model, which tells no classes; `apus evaluate` judges it, `apus generate` "
          + "writes with it")
    }
    self.init(
      model: file.model,
      preprocessing: try file.decoded("preprocessing", as: Preprocessing.self, path: path) ?? .none,
      classNames: file.classNames,
      schema: try file.decoded("schema", as: TableSchema.self, path: path),
      pixelMaximum: try file.decoded("pixelMaximum", as: [Float].self, path: path)?.first,
      imageSize: try file.decoded("imageSize", as: ImageSize.self, path: path),
      audio: try file.decoded("audio", as: AudioFeatures.self, path: path),
      text: try file.decoded("text", as: TextEncoding.self, path: path),
      textSchema: try file.decoded("textSchema", as: TextSchema.self, path: path), device: device)
    self.path = path
    try schema?.requireFit(
      featureCount: model.inputs[0].shape.reduce(1, *), classNames: classNames, path: path)
    try text?.requireFit(model, path)
    try audio?.validate()
    guard let outputs = model.outputShapes.first?.last, outputs == classNames.count else {
      throw ApusError(
        .file, operation: path,
        "names \(classNames.count) classes, but the model's output has shape \(model.outputShapes)")
    }
  }

  public func file() throws -> ModelFile {
    var extras = ["preprocessing": try ModelFile.text(preprocessing)]
    if let schema { extras["schema"] = try ModelFile.text(schema) }
    if let pixelMaximum { extras["pixelMaximum"] = try ModelFile.text([pixelMaximum]) }
    if let imageSize { extras["imageSize"] = try ModelFile.text(imageSize) }
    if let audio { extras["audio"] = try ModelFile.text(audio) }
    if let text { extras["text"] = try ModelFile.text(text) }
    if let textSchema { extras["textSchema"] = try ModelFile.text(textSchema) }
    return ModelFile(model, classNames: classNames, extras: extras)
  }

  /// Evaluates raw labelled examples, with batch normalisations folded into convolutions.
  /// - Throws: ``ApusError`` where shape or classes of the data do not fit, or outputs are not finite.
  public func evaluate(_ data: Dataset) throws -> Evaluation {
    let given = data
    let data = try prepared(data)
    try requireShape(data.featureShape, data.name)
    guard data.classNames == classNames || data.classNames.isEmpty else {
      throw ApusError(
        .data, operation: data.name,
        "has classes \(data.classNames.prefix(12)), the model knows \(classNames.prefix(12))")
    }
    let found = try Evaluation(
      of: try model.folded(),
      source: try BatchSource(
        data, preprocessing: preprocessing, workers: Evaluation.workers, on: device),
      labels: data.labels)
    guard found.loss.isFinite else {
      // Names the example.
      _ = try probabilities(given)
      throw model.notFinite(path, "its loss is \(found.loss)")
    }
    return found
  }

  /// Class probabilities of raw examples, row-major `[count, classes]`.
  /// - Throws: ``ApusError`` where shapes do not fit, or naming the first example whose probabilities are not
  ///   finite.
  public func probabilities(_ data: Dataset) throws -> [Float] {
    let data = try prepared(data)
    try requireShape(data.featureShape, data.name)
    let folded = try model.folded()
    if data.holdsTokens {
      let found = try folded.probabilities(ofTokens: data, on: device)
      try model.requireFinite(found, examples: data.count, path)
      return found
    }
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
    try model.requireFinite(probabilities, examples: data.count, path)
    return probabilities
  }

  /// Texts as tokens; other examples as they are.
  private func prepared(_ data: Dataset) throws -> Dataset {
    guard data.texts != nil else { return data }
    guard let text else {
      throw ApusError(
        .data, operation: data.name, "holds texts, but the model was not trained on texts")
    }
    return try data.tokenized(by: text)
  }

  private func requireShape(_ shape: [Int], _ name: String) throws {
    guard shape == model.inputs[0].shape else {
      throw ApusError(
        .shape, operation: name,
        "examples have shape \(shape), the model takes \(model.inputs[0].shape)")
    }
  }
}

import Apus
import Foundation

/// A file of examples to classify.
struct PredictionInput {
  let path: String
  let hasHeader: Bool?

  var isFolder: Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
      && isDirectory.boolValue
  }

  /// The files of a folder that the model can take, in the order of their names.
  func files(for classifier: Classifier) throws -> [String] {
    guard classifier.audio != nil else { return try images() }
    let files = try AudioFolder.recordings(in: path)
    guard !files.isEmpty else {
      throw ApusError(.data, operation: path, "holds no .wav recordings")
    }
    return files
  }

  /// The image files of a folder, in the order of their names.
  func images() throws -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw ApusError(
        .file, operation: path, "cannot be listed: \(error.fileReason)")
    }
    let files = names.filter { ImageFile.isNamed($0) && !$0.hasPrefix(".") }.sorted()
      .map { (path as NSString).appendingPathComponent($0) }
    guard !files.isEmpty else {
      throw ApusError(.data, operation: path, "holds no .png or .jpg images")
    }
    return files
  }

  /// The examples as the classifier's model takes them, before preprocessing.
  func examples(for classifier: Classifier) throws -> Dataset {
    let shape = classifier.model.inputs[0].shape
    if classifier.text != nil { return try texts(for: classifier) }
    try requireFile(
      for: classifier.audio != nil
        ? "recordings"
        : classifier.schema != nil ? "a table" : shape.count == 3 ? "images" : "arrays")
    if let audio = classifier.audio {
      let files = try isFolder ? files(for: classifier) : [path]
      let reader = AudioReader(try AudioFeatureExtractor(audio))
      return try Dataset(name: path, features: reader.features(of: files), featureShape: shape)
    }
    if isFolder { return try pictures(images(), shape, classifier) }
    let plain = path.lowercased().hasSuffix(".gz") ? String(path.dropLast(3)) : path
    switch (plain as NSString).pathExtension.lowercased() {
    case "csv", "tsv", "txt", "data", "tab":
      let schema = classifier.schema ?? numericSchema(shape.reduce(1, *), classifier)
      let table = try schema.dataset(
        readingFrom: path, options: DataOptions(hasHeader: hasHeader))
      return try dataset(try table.features, shape)
    case "npy": return try dataset(array: NPY.read(path), shape)
    case "png", "jpg", "jpeg": return try pictures([path], shape, classifier)
    default:
      // IDX files carry no fixed ending: `t10k-images-idx3-ubyte`.
      return try dataset(array: IDX.read(path), shape)
    }
  }

  /// The examples as a model of numbers takes them, before preprocessing.
  func examples(for regressor: Regressor) throws -> Dataset {
    try requireFile(for: regressor.schema == nil ? "arrays" : "a table")
    let shape = regressor.model.inputs[0].shape
    if let schema = regressor.schema {
      let table = try schema.dataset(
        readingFrom: path, options: DataOptions(hasHeader: hasHeader), withTarget: false)
      return try dataset(try table.features, shape)
    }
    return try dataset(array: NPY.read(path), shape)
  }

  /// Lines of standard input, or the texts of a file.
  private func texts(for classifier: Classifier) throws -> Dataset {
    guard path == "-" else {
      return try DataSource.unlabelledTexts(
        path, schema: classifier.textSchema, classNames: classifier.classNames,
        options: DataOptions(hasHeader: hasHeader))
    }
    let text = try TextFile.text(
      of: [UInt8](FileHandle.standardInput.readDataToEndOfFile()),
      classifier.textSchema?.encoding ?? .utf8, name: "standard input")
    return try DataSource.lines(
      of: text, name: "standard input", classNames: classifier.classNames)
  }

  /// - Parameter kind: What the model takes.
  /// - Throws: ``ApusError`` where the examples are to come from standard input.
  func requireFile(for kind: String) throws {
    guard path != "-" else {
      throw ApusError(
        .value, operation: "--input -",
        "standard input is for models of texts; this model takes \(kind): name a file")
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

  private func pictures(
    _ files: [String], _ shape: [Int], _ classifier: Classifier
  ) throws -> Dataset {
    guard shape.count == 3, shape[0] == 1 || shape[0] == 3 else {
      throw ApusError(
        .shape, operation: path, "the model takes examples of shape \(shape), not images")
    }
    // A size of choice: whatever size these have is scaled, when they are used.
    guard classifier.imageSize == nil else {
      return try Dataset(name: path, photos: files, imageShape: shape)
    }
    var values: [UInt8] = []
    for file in files {
      let pixels = try ImageFile.read(file, channels: shape[0] == 1 ? .gray : .rgb)
      guard pixels.shape == shape else {
        throw ApusError(
          .shape, operation: file,
          "the image has \(pixels.shape[2])x\(pixels.shape[1]) pixels, the model takes "
            + "\(shape[2])x\(shape[1])")
      }
      values += pixels.bytes
    }
    // From bytes to the range that the training images had.
    let scale = (classifier.pixelMaximum ?? 255) / 255
    guard scale != 1 else { return try Dataset(name: path, pixels: values, imageShape: shape) }
    return try dataset(values.map { Float($0) * scale }, shape)
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

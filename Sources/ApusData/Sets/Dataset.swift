import ApusDevice

/// Examples on the host: features with class indices, with real targets, or with neither.
///
/// Features are floats, or the bytes of images, which take a quarter of the memory and become floats
/// when they are used, or photos in files, which are decoded at each reading, or tokens of texts, in rows
/// of different lengths.
public struct Dataset: Sendable {
  public var name: String
  private(set) var storage: Storage
  /// The shape of one example, such as `[1, 28, 28]` or `[4]`.
  public let featureShape: [Int]
  /// `[count]` indices into `classNames`; empty for regression and for unlabelled data.
  public var labels: [Int32]
  /// Empty for regression.
  public var classNames: [String]
  /// One name per feature, where the source names them.
  public var featureNames: [String]?
  /// Row-major `[count] + targetShape` real targets for regression, else nil.
  public var targets: [Float]? { didSet { exactTargets = nil } }
  /// The same before rounding, where the source knows them better.
  private(set) var exactTargets: [Double]?
  /// The shape of the real targets of one example: empty for a single number.
  public let targetShape: [Int]

  /// Throws when the counts do not fit together or a label is outside `classNames`.
  public init(
    name: String, features: [Float], featureShape: [Int], labels: [Int32] = [],
    classNames: [String] = [], featureNames: [String]? = nil, targets: [Float]? = nil,
    targetShape: [Int] = []
  ) throws {
    try self.init(
      name, .floats(features), featureShape, labels, classNames, featureNames, targets,
      targetShape)
  }

  /// Images of bytes.
  /// - Parameters:
  ///   - pixels: Row-major `[count] + imageShape`.
  ///   - imageShape: `[channels, height, width]`.
  /// - Throws: ``ApusError`` as for features.
  public init(
    name: String, pixels: [UInt8], imageShape: [Int], labels: [Int32] = [],
    classNames: [String] = []
  ) throws {
    guard imageShape.count == 3 else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "an image has shape [channels, height, width], not \(imageShape)")
    }
    try self.init(name, .bytes(pixels, of: nil), imageShape, labels, classNames, nil, nil)
  }

  /// Photos in files, which are decoded, scaled until they just cover the shape, and cut to it around
  /// their centre, each time they are read.
  /// - Parameters:
  ///   - photos: Paths of PNG and JPEG files.
  ///   - imageShape: `[1 or 3, height, width]`.
  /// - Throws: ``ApusError`` as for features, and naming a file whose header cannot be read.
  public init(
    name: String, photos: [String], imageShape: [Int], labels: [Int32] = [],
    classNames: [String] = []
  ) throws {
    guard imageShape.count == 3, imageShape[0] == 1 || imageShape[0] == 3 else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "a photo has shape [1 or 3, height, width], not \(imageShape)")
    }
    try ImageSize(height: imageShape[1], width: imageShape[2]).validate()
    try self.init(
      name, .photos(Photos(files: Photos.File.reading(photos), shape: imageShape)), imageShape,
      labels, classNames, nil, nil)
  }

  init(
    _ name: String, _ storage: Storage, _ featureShape: [Int], _ labels: [Int32],
    _ classNames: [String], _ featureNames: [String]?, _ targets: [Float]?,
    _ targetShape: [Int] = []
  ) throws {
    self.name = name
    self.storage = storage
    self.featureShape = featureShape
    self.labels = labels
    self.classNames = classNames
    self.featureNames = featureNames
    self.targets = targets
    self.targetShape = targetShape
    guard let size = HostArray.elementCount(of: featureShape), size > 0 else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "one example has shape \(featureShape); every extent must be positive")
    }
    guard let size = HostArray.elementCount(of: targetShape), size > 0 else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "the targets of one example have shape \(targetShape); every extent must be positive")
    }
    try validate()
  }

  /// Row-major `[count] + featureShape`; bytes are converted, and photos decoded, at each reading.
  /// - Throws: ``ApusError`` naming the file that cannot be decoded.
  public var features: [Float] {
    get throws {
      if case .floats(let values) = storage { return values }
      var all: [Float] = []
      all.reserveCapacity(count * featureCount)
      try forEachExample { all.append(contentsOf: $0) }
      return all
    }
  }

  /// The same examples with other features of the same shape.
  func with(features: [Float]) -> Dataset {
    var result = self
    result.storage = .floats(features)
    return result
  }

  /// The features where they are kept in memory as bytes, else nil.
  public var pixels: [UInt8]? {
    if case .bytes(let values, _) = storage { values } else { nil }
  }

  /// The greatest value a pixel can have or, for features of floats, has.
  public var pixelMaximum: Float {
    switch storage {
    case .floats(let values): values.max() ?? 1
    case .slices(let values, _, _): values.max().map { Float($0) } ?? 1
    case .bytes, .photos, .texts, .tokens: 255
    }
  }

  /// The number of values in one example.
  public var featureCount: Int { featureShape.reduce(1, *) }
  /// The number of examples.
  public var count: Int { storage.count(size: featureCount) / featureCount }
  public var classCount: Int { classNames.count }
  public var isRegression: Bool { targets != nil }
  /// The number of real targets of one example.
  public var targetCount: Int { targetShape.reduce(1, *) }

  /// Throws when features, labels, targets and names no longer fit together.
  public func validate() throws {
    let operation = "Dataset(\(name))"
    let values = storage.count(size: featureCount)
    guard values % featureCount == 0 else {
      throw ApusError(
        .shape, operation: operation,
        "\(values) values are no whole number of examples of shape \(featureShape)")
    }
    guard labels.isEmpty || labels.count == count else {
      throw ApusError(
        .shape, operation: operation, "there are \(count) examples but \(labels.count) labels")
    }
    if let targets, targets.count % targetCount != 0 || targets.count / targetCount != count {
      throw ApusError(
        .shape, operation: operation,
        "there are \(count) examples but \(targets.count) targets"
          + (targetShape.isEmpty ? "" : ", of \(targetShape) each"))
    }
    if let featureNames, featureNames.count != featureCount {
      throw ApusError(
        .shape, operation: operation,
        "there are \(featureCount) features but \(featureNames.count) names for them")
    }
    if let bad = labels.firstIndex(where: { $0 < 0 || Int($0) >= classNames.count }) {
      throw ApusError(
        .data, operation: operation,
        "label \(labels[bad]) of example \(bad) is outside the \(classNames.count) classes")
    }
  }

  /// The examples at `indices`, in that order; an index may repeat. Throws for an index outside.
  public func subset(_ indices: [Int]) throws -> Dataset {
    try check(indices)
    let part = try Dataset(
      name, storage.subset(indices, size: featureCount), featureShape,
      labels.isEmpty ? [] : indices.map { labels[$0] }, classNames, featureNames,
      targets.map { Storage.rows(indices, of: $0, targetCount) }, targetShape)
    return exactTargets.map {
      part.with(exactTargets: Storage.rows(indices, of: $0, targetCount))
    } ?? part
  }

  /// Both sets, one after the other. Throws where shapes or classes differ.
  public func appending(_ other: Dataset) throws -> Dataset {
    guard featureShape == other.featureShape, classNames == other.classNames,
      isRegression == other.isRegression, targetShape == other.targetShape
    else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "examples of shape \(featureShape) with \(classCount) classes cannot be joined to others of "
          + "shape \(other.featureShape) with \(other.classCount)")
    }
    let joined = try storage.appending(other.storage) ?? .floats(features + other.features)
    return try Dataset(
      name, joined, featureShape, labels + other.labels, classNames, featureNames,
      targets.map { $0 + (other.targets ?? []) }, targetShape)
  }

  /// The same examples with targets that are known better than in single precision.
  func with(exactTargets: [Double]) -> Dataset {
    var result = self
    result.targets = exactTargets.map { Float($0) }
    result.exactTargets = exactTargets
    return result
  }

  /// Features `[indices.count] + featureShape` and labels `[indices.count]` (none where the data has
  /// none). Throws for an index outside, and naming a file that cannot be decoded.
  public func batch(_ indices: [Int]) throws -> (features: [Float], labels: [Int32]) {
    try check(indices)
    var rows: [Float] = []
    rows.reserveCapacity(indices.count * featureCount)
    for index in indices { try append(index, to: &rows) }
    return (rows, labels.isEmpty ? [] : indices.map { labels[$0] })
  }

  /// The real targets at `indices`, row-major `[indices.count] + targetShape`. Throws for an index outside, or where there are none.
  public func batchTargets(_ indices: [Int]) throws -> [Float] {
    try check(indices)
    guard let targets else {
      throw ApusError(
        .data, operation: "Dataset(\(name))", "the data has classes, not real targets")
    }
    return Storage.rows(indices, of: targets, targetCount)
  }

  /// One example, with a label where there is one. Throws for an index outside.
  public func example(_ index: Int) throws -> (features: [Float], label: Int32?) {
    let batch = try batch([index])
    return (batch.features, batch.labels.first)
  }

  func check(_ indices: [Int]) throws {
    let examples = count
    guard labels.isEmpty || labels.count == examples,
      targets.map({ $0.count == examples * targetCount }) ?? true
    else { return try validate() }
    if let bad = indices.first(where: { $0 < 0 || $0 >= examples }) {
      throw ApusError(
        .value, operation: "Dataset(\(name))",
        "there is no example \(bad); the \(examples) examples are numbered from 0")
    }
  }
}

import ApusDevice

/// Examples on the host: float features with class indices, with real targets, or with neither.
public struct Dataset: Sendable {
  public var name: String
  /// Row-major `[count] + featureShape`.
  public var features: [Float]
  /// The shape of one example, such as `[1, 28, 28]` or `[4]`.
  public let featureShape: [Int]
  /// `[count]` indices into `classNames`; empty for regression and for unlabelled data.
  public var labels: [Int32]
  /// Empty for regression.
  public var classNames: [String]
  /// One name per feature, where the source names them.
  public var featureNames: [String]?
  /// `[count]` real targets for regression, else nil.
  public var targets: [Float]?

  /// Throws when the counts do not fit together or a label is outside `classNames`.
  public init(
    name: String, features: [Float], featureShape: [Int], labels: [Int32] = [],
    classNames: [String] = [], featureNames: [String]? = nil, targets: [Float]? = nil
  ) throws {
    self.name = name
    self.features = features
    self.featureShape = featureShape
    self.labels = labels
    self.classNames = classNames
    self.featureNames = featureNames
    self.targets = targets
    guard let size = HostArray.elementCount(of: featureShape), size > 0 else {
      throw ApusError(
        .shape, operation: "Dataset(\(name))",
        "one example has shape \(featureShape); every extent must be positive")
    }
    try validate()
  }

  /// The number of values in one example.
  public var featureCount: Int { featureShape.reduce(1, *) }
  /// The number of examples.
  public var count: Int { features.count / featureCount }
  public var classCount: Int { classNames.count }
  public var isRegression: Bool { targets != nil }

  /// Throws when features, labels, targets and names no longer fit together.
  public func validate() throws {
    let operation = "Dataset(\(name))"
    guard features.count % featureCount == 0 else {
      throw ApusError(
        .shape, operation: operation,
        "\(features.count) values are no whole number of examples of shape \(featureShape)")
    }
    guard labels.isEmpty || labels.count == count else {
      throw ApusError(
        .shape, operation: operation, "there are \(count) examples but \(labels.count) labels")
    }
    if let targets, targets.count != count {
      throw ApusError(
        .shape, operation: operation, "there are \(count) examples but \(targets.count) targets")
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
    let batch = try batch(indices)
    return try Dataset(
      name: name, features: batch.features, featureShape: featureShape, labels: batch.labels,
      classNames: classNames, featureNames: featureNames,
      targets: targets.map { all in indices.map { all[$0] } })
  }

  /// Features `[indices.count] + featureShape` and labels `[indices.count]` (none where the data has
  /// none). Throws for an index outside.
  public func batch(_ indices: [Int]) throws -> (features: [Float], labels: [Int32]) {
    try check(indices)
    let size = featureCount
    var rows: [Float] = []
    rows.reserveCapacity(indices.count * size)
    for index in indices { rows.append(contentsOf: features[index * size..<(index + 1) * size]) }
    return (rows, labels.isEmpty ? [] : indices.map { labels[$0] })
  }

  /// The real targets at `indices`. Throws for an index outside, or where there are none.
  public func batchTargets(_ indices: [Int]) throws -> [Float] {
    try check(indices)
    guard let targets else {
      throw ApusError(
        .data, operation: "Dataset(\(name))", "the data has classes, not real targets")
    }
    return indices.map { targets[$0] }
  }

  /// One example, with a label where there is one. Throws for an index outside.
  public func example(_ index: Int) throws -> (features: [Float], label: Int32?) {
    let batch = try batch([index])
    return (batch.features, batch.labels.first)
  }

  private func check(_ indices: [Int]) throws {
    let (examples, all) = (count, targets?.count ?? count)
    guard labels.isEmpty || labels.count == examples, all == examples else { return try validate() }
    if let bad = indices.first(where: { $0 < 0 || $0 >= examples }) {
      throw ApusError(
        .value, operation: "Dataset(\(name))",
        "there is no example \(bad); the \(examples) examples are numbered from 0")
    }
  }
}

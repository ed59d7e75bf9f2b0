import ApusDevice

extension DataSource {
  private static let pairs = [
    ("x", "y"), ("X", "y"), ("features", "labels"), ("images", "labels"), ("data", "target"),
    ("data", "labels"),
  ]

  /// An NPZ archive of `x` and `y` (or `features`/`labels`, `images`/`labels`, `data`/`target`),
  /// each possibly as `x_train`, `y_train`, `x_test`, `y_test`.
  ///
  /// `x` is `[n, …]`; `uint8 [n, height, width]` are gray images and become `[n, 1, height, width]`.
  /// `y` is `[n]` or `[n, 1]`; whole numbers are classes, others real targets.
  static func loadArrays(_ path: String, _ options: DataOptions) throws -> LoadedData {
    let arrays = try NPZ.read(path)
    for (x, y) in pairs {
      if let features = arrays[x + "_train"], let labels = arrays[y + "_train"] {
        let train = try dataset(path, features, labels, nil, options.task)
        guard let features = arrays[x + "_test"], let labels = arrays[y + "_test"] else {
          return try parts(train, preprocessing(of: features), options)
        }
        let test = try dataset(path, features, labels, train, options.task)
        return LoadedData(
          train: train, test: test, defaultPreprocessing: preprocessing(of: features))
      }
      if let features = arrays[x], let labels = arrays[y] {
        return try parts(
          try dataset(path, features, labels, nil, options.task), preprocessing(of: features),
          options)
      }
    }
    throw ApusError(
      .data, operation: path,
      "needs the arrays x and y (or x_train, y_train, x_test, y_test); it holds "
        + arrays.keys.sorted().joined(separator: ", "))
  }

  private static func preprocessing(of features: HostArray) -> Preprocessing.Kind {
    if features.dtype == .uint8 { return .scale(by: 1 / 255) }
    return features.shape.count == 2 ? .standardize : .none
  }

  /// `train` fixes the task and the classes of a test part.
  private static func dataset(
    _ path: String, _ features: HostArray, _ labels: HostArray, _ train: Dataset?,
    _ task: DataOptions.Task?
  ) throws -> Dataset {
    guard features.shape.count > 1, labels.shape.filter({ $0 != 1 }).count <= 1,
      labels.count == features.shape[0]
    else {
      throw ApusError(
        .shape, operation: path,
        "x has the shape \(features.shape) and y \(labels.shape); [n, …] and [n] are needed")
    }
    var shape = Array(features.shape.dropFirst())
    if features.dtype == .uint8, shape.count == 2 { shape.insert(1, at: 0) }
    if let train, train.featureShape != shape {
      throw ApusError(
        .shape, operation: path,
        "training examples have the shape \(train.featureShape), test examples \(shape)")
    }
    let values = features.floats()
    try requireFinite(values, "x", path)
    let targets = labels.floats()
    try requireFinite(targets, "y", path)
    let isWhole = targets.allSatisfy { $0.rounded() == $0 }
    if task == .regression || train?.isRegression ?? (task == nil && !isWhole) {
      return try Dataset(name: path, features: values, featureShape: shape, targets: targets)
    }
    let indices = try labels.int32s()
    let names = try train?.classNames ?? LabelNames.numbered(indices, name: path)
    return try Dataset(
      name: path, features: values, featureShape: shape, labels: indices, classNames: names)
  }

  private static func requireFinite(_ values: [Float], _ array: String, _ path: String) throws {
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw ApusError(
        .data, operation: path,
        "element \(bad) of \(array) is \(values[bad]); replace it by a finite value")
    }
  }
}

import ApusDevice

/// How raw features become the input of a model: fitted on the training part alone, stored with the
/// model and applied again at prediction. Definitions are those of scikit-learn's scalers.
public enum Preprocessing: Codable, Sendable, Hashable {
  case none
  /// `(x − mean) / deviation` per feature; the deviation of a constant feature is 1.
  case standardize(mean: [Float], deviation: [Float])
  /// `(x − minimum) / range` per feature; the range of a constant feature is 1.
  case minMax(minimum: [Float], range: [Float])
  /// `(x − mean) / deviation` per channel of images `[channels, height, width]`.
  case standardizeChannels(mean: [Float], deviation: [Float])
  /// Each example by itself.
  case normalizeSample(SampleNorm)
  /// `x · by`, such as 1/255 for pixels.
  case scale(by: Float)

  /// What an example is divided by; an example of zeros stays as it is.
  public enum SampleNorm: String, Codable, Sendable, Hashable, CaseIterable {
    /// Sum of magnitudes, root of the sum of squares, greatest magnitude.
    case l1, l2, maximum
    /// The example's mean is subtracted first; then its population standard deviation.
    case standard
  }

  /// A method before it is fitted.
  public enum Kind: Sendable, Hashable, Codable {
    case none, standardize, minMax, standardizeChannels
    case normalizeSample(SampleNorm)
    case scale(by: Float)
  }

  /// Transforms examples in place. `values` is row-major `[n, featureCount]`. Throws when the counts
  /// do not fit what was fitted, or a stored divisor is not positive.
  public func apply(_ values: inout [Float], featureCount: Int) throws {
    try transform(&values, featureCount)
  }

  /// In the precision of the values.
  private func transform<Value: BinaryFloatingPoint>(
    _ values: inout [Value], _ featureCount: Int
  ) throws {
    guard featureCount > 0, values.count % featureCount == 0 else {
      throw ApusError(
        .shape, operation: "Preprocessing",
        "\(values.count) values are no whole number of examples of \(featureCount) features")
    }
    switch self {
    case .none: break
    case .scale(let factor): for index in values.indices { values[index] *= Value(factor) }
    case .standardize(let shift, let divisor), .minMax(let shift, let divisor):
      try requireFitted(shift, divisor, featureCount)
      var index = 0
      while index < values.count {
        for feature in 0..<featureCount {
          values[index + feature] =
            (values[index + feature] - Value(shift[feature])) / Value(divisor[feature])
        }
        index += featureCount
      }
    case .standardizeChannels(let mean, let deviation):
      guard !mean.isEmpty, featureCount % mean.count == 0 else {
        throw ApusError(
          .shape, operation: "Preprocessing",
          "was fitted on \(mean.count) channels, which do not fit \(featureCount) values")
      }
      try requireFitted(mean, deviation, mean.count)
      let plane = featureCount / mean.count
      for start in stride(from: 0, to: values.count, by: plane) {
        let channel = start / plane % mean.count
        let (shift, divisor) = (Value(mean[channel]), Value(deviation[channel]))
        for index in start..<start + plane { values[index] = (values[index] - shift) / divisor }
      }
    case .normalizeSample(let norm):
      for start in stride(from: 0, to: values.count, by: featureCount) {
        norm.apply(&values[start..<start + featureCount])
      }
    }
  }

  /// For methods that work by channel, the pixel that becomes 0: one value per channel. What
  /// augmentation fills up with.
  public var background: [Float]? {
    if case .standardizeChannels(let mean, _) = self { mean } else { nil }
  }

  /// The dataset with its features transformed, as floats in memory.
  public func applied(to dataset: Dataset) throws -> Dataset {
    if case .slices = dataset.storage {
      var all: [Float] = []
      try fill(&all, with: Array(0..<dataset.count), of: dataset)
      return dataset.with(features: all)
    }
    var values = try dataset.features
    try apply(&values, featureCount: dataset.featureCount)
    return dataset.with(features: values)
  }

  /// Replaces values by examples, transformed; those of a series are rounded only then.
  package func fill(
    _ values: inout [Float], with indices: [Int], of dataset: Dataset
  ) throws {
    values.removeAll(keepingCapacity: true)
    values.reserveCapacity(indices.count * dataset.featureCount)
    guard case .slices(let all, let starts, let width) = dataset.storage else {
      for index in indices { try dataset.append(index, to: &values) }
      return try transform(&values, dataset.featureCount)
    }
    var exact: [Double] = []
    for index in indices {
      exact.removeAll(keepingCapacity: true)
      Dataset.Storage.appendSlice(all, starts[index], dataset.featureCount, width) {
        exact.append($0)
      }
      try transform(&exact, dataset.featureCount)
      values.append(contentsOf: exact.lazy.map { Float($0) })
    }
  }
}

extension Preprocessing.SampleNorm {
  func apply<Value: BinaryFloatingPoint>(_ example: inout ArraySlice<Value>) {
    var mean = 0.0
    if self == .standard {
      mean = example.reduce(0.0) { $0 + Double($1) } / Double(max(example.count, 1))
    }
    let divisor: Double
    switch self {
    case .l1: divisor = example.reduce(0) { $0 + Double($1.magnitude) }
    case .l2: divisor = example.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    case .maximum: divisor = example.reduce(0) { max($0, Double($1.magnitude)) }
    case .standard:
      let squares = example.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
      divisor = (squares / Double(max(example.count, 1))).squareRoot()
    }
    let scale = divisor > 0 ? divisor : 1
    for index in example.indices { example[index] = Value((Double(example[index]) - mean) / scale) }
  }
}

extension Preprocessing {
  private func requireFitted(_ shift: [Float], _ divisor: [Float], _ featureCount: Int) throws {
    guard shift.count == featureCount, divisor.count == featureCount else {
      throw ApusError(
        .shape, operation: "Preprocessing",
        "was fitted on \(shift.count) features, the data has \(featureCount)")
    }
    guard divisor.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw ApusError(
        .value, operation: "Preprocessing", "a stored divisor is not positive; the file is damaged")
    }
  }
}

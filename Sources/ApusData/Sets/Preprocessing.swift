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

  /// Takes statistics from `dataset`, which must be the training part. Throws when it is empty or a
  /// feature is not finite.
  public static func fit(_ kind: Kind, on dataset: Dataset) throws -> Preprocessing {
    switch kind {
    case .none: return .none
    case .normalizeSample(let norm): return .normalizeSample(norm)
    case .scale(let factor):
      guard factor.isFinite, factor != 0 else {
        throw ApusError(
          .value, operation: "Preprocessing", "the factor is \(factor); it must be finite and not 0"
        )
      }
      return .scale(by: factor)
    case .standardize:
      let (mean, deviation) = try moments(dataset)
      return .standardize(mean: mean, deviation: deviation)
    case .standardizeChannels:
      let (mean, deviation) = try channelMoments(dataset)
      return .standardizeChannels(mean: mean, deviation: deviation)
    case .minMax:
      try requireExamples(dataset)
      try requireFinite(dataset)
      let size = dataset.featureCount
      let features = dataset.features
      var low = Array(features[..<size])
      var high = low
      for start in stride(from: 0, to: features.count, by: size) {
        for feature in 0..<size {
          let x = features[start + feature]
          low[feature] = min(low[feature], x)
          high[feature] = max(high[feature], x)
        }
      }
      let range = zip(low, high).map { low, high in
        let range = high - low
        return range > 0 && range.isFinite ? range : 1
      }
      return .minMax(minimum: low, range: range)
    }
  }

  /// Transforms examples in place. `values` is row-major `[n, featureCount]`. Throws when the counts
  /// do not fit what was fitted, or a stored divisor is not positive.
  public func apply(_ values: inout [Float], featureCount: Int) throws {
    guard featureCount > 0, values.count % featureCount == 0 else {
      throw ApusError(
        .shape, operation: "Preprocessing",
        "\(values.count) values are no whole number of examples of \(featureCount) features")
    }
    switch self {
    case .none: break
    case .scale(let factor): for index in values.indices { values[index] *= factor }
    case .standardize(let shift, let divisor), .minMax(let shift, let divisor):
      try requireFitted(shift, divisor, featureCount)
      var index = 0
      while index < values.count {
        for feature in 0..<featureCount {
          values[index + feature] = (values[index + feature] - shift[feature]) / divisor[feature]
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
        let (shift, divisor) = (mean[channel], deviation[channel])
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

  /// The dataset with its features transformed.
  public func applied(to dataset: Dataset) throws -> Dataset {
    var result = dataset
    var values = dataset.features
    try apply(&values, featureCount: dataset.featureCount)
    result.features = values
    return result
  }
}

extension Preprocessing.SampleNorm {
  func apply(_ example: inout ArraySlice<Float>) {
    var mean = 0.0
    if self == .standard {
      mean = example.reduce(0.0) { $0 + Double($1) } / Double(max(example.count, 1))
    }
    let divisor: Double
    switch self {
    case .l1: divisor = example.reduce(0) { $0 + Double($1.magnitude) }
    case .l2: divisor = example.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    case .maximum: divisor = Double(example.reduce(0) { max($0, $1.magnitude) })
    case .standard:
      let squares = example.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
      divisor = (squares / Double(max(example.count, 1))).squareRoot()
    }
    let scale = divisor > 0 ? divisor : 1
    for index in example.indices { example[index] = Float((Double(example[index]) - mean) / scale) }
  }
}

extension Preprocessing {
  private static func moments(_ dataset: Dataset) throws -> (mean: [Float], deviation: [Float]) {
    try requireExamples(dataset)
    try requireFinite(dataset)
    let size = dataset.featureCount
    let features = dataset.features
    var sums = [Double](repeating: 0, count: size)
    for start in stride(from: 0, to: features.count, by: size) {
      for feature in 0..<size { sums[feature] += Double(features[start + feature]) }
    }
    let means = sums.map { $0 / Double(dataset.count) }
    var squares = [Double](repeating: 0, count: size)
    for start in stride(from: 0, to: features.count, by: size) {
      for feature in 0..<size {
        let difference = Double(features[start + feature]) - means[feature]
        squares[feature] += difference * difference
      }
    }
    return (means.map { Float($0) }, deviations(squares, means, count: dataset.count))
  }

  /// Mean and deviation of each channel over all pixels of all images.
  private static func channelMoments(
    _ dataset: Dataset
  ) throws -> (mean: [Float], deviation: [Float]) {
    try requireExamples(dataset)
    guard dataset.featureShape.count == 3 else {
      throw ApusError(
        .shape, operation: "Preprocessing",
        "\(dataset.name) has examples of shape \(dataset.featureShape); only images "
          + "[channels, height, width] have channels")
    }
    let channels = dataset.featureShape[0]
    let plane = dataset.featureShape[1] * dataset.featureShape[2]
    let count = dataset.count * plane
    if dataset.pixels == nil { try requireFinite(dataset) }
    var example: [Float] = []
    func sum(_ term: (Float, Int) -> Double) -> [Double] {
      var sums = [Double](repeating: 0, count: channels)
      for index in 0..<dataset.count {
        example.removeAll(keepingCapacity: true)
        dataset.append(index, to: &example)
        for channel in 0..<channels {
          for place in channel * plane..<(channel + 1) * plane {
            sums[channel] += term(example[place], channel)
          }
        }
      }
      return sums
    }
    let means = sum { value, _ in Double(value) }.map { $0 / Double(count) }
    let squares = sum { value, channel in
      let difference = Double(value) - means[channel]
      return difference * difference
    }
    return (means.map { Float($0) }, deviations(squares, means, count: count))
  }

  private static func deviations(
    _ squares: [Double], _ means: [Double], count: Int
  ) -> [Float] {
    zip(squares, means).map { square, mean in
      let deviation = (square / Double(count)).squareRoot()
      // What rounding leaves of a constant feature is not a spread.
      let noise = 10 * Double.ulpOfOne * mean.magnitude
      return deviation > noise ? max(Float(deviation), .leastNormalMagnitude) : 1
    }
  }

  private static func requireExamples(_ dataset: Dataset) throws {
    try dataset.validate()
    guard dataset.count > 0 else {
      throw ApusError(
        .data, operation: "Preprocessing", "\(dataset.name) has no examples to fit on")
    }
  }

  private static func requireFinite(_ dataset: Dataset) throws {
    let features = dataset.features
    guard let index = features.firstIndex(where: { !$0.isFinite }) else { return }
    let feature = index % dataset.featureCount
    let name = dataset.featureNames.map { " (\($0[feature]))" } ?? ""
    throw ApusError(
      .data, operation: "Preprocessing",
      "feature \(feature)\(name) of example \(index / dataset.featureCount) of \(dataset.name) "
        + "is \(features[index]); replace it by a finite value")
  }

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

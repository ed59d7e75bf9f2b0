import ApusDevice

extension Preprocessing {
  /// Takes statistics from `dataset`, which must be the training part; one pass over images, which are
  /// not all decoded at a time. Throws when it is empty, a feature is not finite or a file cannot be
  /// decoded.
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
      let (mean, deviation) = try moments(dataset, plane: 1)
      return .standardize(mean: mean, deviation: deviation)
    case .standardizeChannels:
      guard dataset.featureShape.count == 3 else {
        throw ApusError(
          .shape, operation: "Preprocessing",
          "\(dataset.name) has examples of shape \(dataset.featureShape); only images "
            + "[channels, height, width] have channels")
      }
      let (mean, deviation) = try moments(
        dataset, plane: dataset.featureShape[1] * dataset.featureShape[2])
      return .standardizeChannels(mean: mean, deviation: deviation)
    case .minMax:
      try requireFiniteExamples(dataset)
      let size = dataset.featureCount
      var low = [Float](repeating: .infinity, count: size)
      var high = [Float](repeating: -.infinity, count: size)
      try dataset.forEachExample { example in
        for feature in 0..<size {
          low[feature] = min(low[feature], example[feature])
          high[feature] = max(high[feature], example[feature])
        }
      }
      let range = zip(low, high).map { low, high in
        let range = high - low
        return range > 0 && range.isFinite ? range : 1
      }
      return .minMax(minimum: low, range: range)
    }
  }

  /// Mean and deviation over all examples of each group of `plane` neighbouring values.
  private static func moments(
    _ dataset: Dataset, plane: Int
  ) throws -> (mean: [Float], deviation: [Float]) {
    try requireFiniteExamples(dataset)
    let groups = dataset.featureCount / plane
    let moments =
      try dataset.holdsBytes
      ? byteMoments(dataset, groups, plane) : floatMoments(dataset, groups, plane)
    let deviations = zip(moments.means, moments.variances).map { mean, variance in
      let deviation = variance.squareRoot()
      // What rounding leaves of a constant feature is not a spread.
      let noise = 10 * Double.ulpOfOne * mean.magnitude
      return deviation > noise ? max(Float(deviation), .leastNormalMagnitude) : 1
    }
    return (moments.means.map { Float($0) }, deviations)
  }

  private static func floatMoments(
    _ dataset: Dataset, _ groups: Int, _ plane: Int
  ) throws -> (means: [Double], variances: [Double]) {
    let count = Double(dataset.count) * Double(plane)
    func mean(_ term: (Float, Int) -> Double) throws -> [Double] {
      var sums = [Double](repeating: 0, count: groups)
      try dataset.forEachExample { example in
        for group in 0..<groups {
          for place in group * plane..<(group + 1) * plane {
            sums[group] += term(example[place], group)
          }
        }
      }
      return sums.map { $0 / count }
    }
    let means = try mean { value, _ in Double(value) }
    let variances = try mean { value, group in
      let difference = Double(value) - means[group]
      return difference * difference
    }
    return (means, variances)
  }

  /// In one pass and without rounding: `n² · variance = n Σ x² − (Σ x)²` in whole numbers.
  private static func byteMoments(
    _ dataset: Dataset, _ groups: Int, _ plane: Int
  ) throws -> (means: [Double], variances: [Double]) {
    var sums = [UInt64](repeating: 0, count: groups)
    var squares = sums
    try dataset.forEachExample { example in
      for group in 0..<groups {
        // Whole numbers far below 2⁵³, so exact.
        var (sum, square) = (0.0, 0.0)
        for place in group * plane..<(group + 1) * plane {
          let value = Double(example[place])
          sum += value
          square += value * value
        }
        sums[group] += UInt64(sum)
        squares[group] += UInt64(square)
      }
    }
    let count = UInt128(dataset.count) * UInt128(plane)
    return (
      sums.map { Double($0) / Double(count) },
      zip(sums, squares).map { sum, square in
        let spread = count * UInt128(square) - UInt128(sum) * UInt128(sum)
        return Double(spread) / Double(count) / Double(count)
      }
    )
  }

  private static func requireFiniteExamples(_ dataset: Dataset) throws {
    try dataset.validate()
    guard dataset.count > 0 else {
      throw ApusError(
        .data, operation: "Preprocessing", "\(dataset.name) has no examples to fit on")
    }
    guard !dataset.holdsBytes else { return }
    let features = try dataset.features
    guard let index = features.firstIndex(where: { !$0.isFinite }) else { return }
    let feature = index % dataset.featureCount
    let name = dataset.featureNames.map { " (\($0[feature]))" } ?? ""
    throw ApusError(
      .data, operation: "Preprocessing",
      "feature \(feature)\(name) of example \(index / dataset.featureCount) of \(dataset.name) "
        + "is \(features[index]); replace it by a finite value")
  }
}

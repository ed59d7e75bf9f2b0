import ApusDevice

/// How real targets become what a model is to give: `(y − mean) / deviation` for each of the values of
/// an example. Fitted on the training part alone, stored with the model, undone at prediction.
public struct TargetScaling: Codable, Sendable, Hashable {
  /// One entry for each target of an example.
  public let mean: [Float]
  public let deviation: [Float]

  /// - Throws: ``ApusError`` where the numbers differ, or a deviation is not positive.
  public init(mean: [Float], deviation: [Float]) throws {
    guard mean.count == deviation.count, !mean.isEmpty,
      deviation.allSatisfy({ $0 > 0 && $0.isFinite }), mean.allSatisfy(\.isFinite)
    else {
      throw ApusError(
        .value, operation: "TargetScaling",
        "\(mean.count) means and \(deviation.count) deviations must be equally many and finite, "
          + "deviations positive")
    }
    self.mean = mean
    self.deviation = deviation
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      mean: try values.decode([Float].self, forKey: .mean),
      deviation: try values.decode([Float].self, forKey: .deviation))
  }

  /// Mean and population deviation of each target; the deviation of constant ones is 1.
  /// - Throws: ``ApusError`` where there are no targets, or one is not finite.
  public static func fit(on data: Dataset) throws -> TargetScaling {
    let width = data.targetCount
    guard let targets = data.targets, !targets.isEmpty else {
      throw ApusError(.data, operation: data.name, "the examples have no real targets")
    }
    if let bad = targets.firstIndex(where: { !$0.isFinite }) {
      throw ApusError(
        .data, operation: data.name,
        "the target of example \(bad / width) is \(targets[bad]); it must be finite")
    }
    let count = Double(targets.count / width)
    var (sums, squares) = (
      [Double](repeating: 0, count: width), [Double](repeating: 0, count: width)
    )
    for (index, value) in targets.enumerated() { sums[index % width] += Double(value) }
    let means = sums.map { $0 / count }
    for (index, value) in targets.enumerated() {
      let difference = Double(value) - means[index % width]
      squares[index % width] += difference * difference
    }
    return try TargetScaling(
      mean: means.map { Float($0) },
      deviation: zip(means, squares).map { mean, square in
        let deviation = (square / count).squareRoot()
        // What rounding leaves of a constant target is not a spread.
        return deviation > 10 * Double.ulpOfOne * mean.magnitude
          ? max(Float(deviation), .leastNormalMagnitude) : 1
      })
  }

  /// The data with its targets scaled.
  /// - Throws: ``ApusError`` where there are none, or another number of them.
  public func applied(to data: Dataset) throws -> Dataset {
    guard let targets = data.targets, data.targetCount == mean.count else {
      throw ApusError(
        .data, operation: data.name,
        "the examples have \(data.targets == nil ? 0 : data.targetCount) real targets each, "
          + "\(mean.count) are needed")
    }
    var result = data
    if let exact = data.exactTargets {
      result.targets = exact.enumerated().map { index, value in
        let place = index % mean.count
        return Float((value - Double(mean[place])) / Double(deviation[place]))
      }
      return result
    }
    result.targets = targets.enumerated().map { index, value in
      let place = index % mean.count
      return (value - mean[place]) / deviation[place]
    }
    return result
  }

  /// The same in double precision, for values whose level is far above their changes.
  public func exactlyRestored(_ predictions: [Float]) -> [Double] {
    predictions.enumerated().map { index, value in
      Double(value) * Double(deviation[index % mean.count]) + Double(mean[index % mean.count])
    }
  }

  /// Predictions, row-major `[count, targets]`, in the units of the data.
  public func restored(_ predictions: [Float]) -> [Float] {
    predictions.enumerated().map { index, value in
      value * deviation[index % mean.count] + mean[index % mean.count]
    }
  }
}

import ApusDevice

/// The receiver operating characteristic of a binary score, with a point for every different score
/// (`sklearn.metrics.roc_curve` with `drop_intermediate=False`).
public struct ROCCurve: Sendable, Hashable {
  /// From 0 to 1, ascending.
  public let falsePositiveRates: [Double]
  public let truePositiveRates: [Double]
  /// Examples count as positive from here; descending, the first is infinite (none is positive).
  public let thresholds: [Float]

  /// Throws when the counts differ, a score is not finite, or one of the two classes is absent.
  public init(scores: [Float], isPositive: [Bool]) throws {
    try Requirement.pairs(scores.count, isPositive.count, operation: "ROCCurve")
    try Requirement.finite(scores, operation: "ROCCurve")
    let positives = isPositive.count { $0 }
    let negatives = isPositive.count - positives
    guard positives > 0, negatives > 0 else {
      throw ApusError(
        .data, operation: "ROCCurve",
        "\(positives) positive and \(negatives) negative examples; both kinds are needed")
    }
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    var (falseRates, trueRates, limits) = ([0.0], [0.0], [Float.infinity])
    var (falses, trues) = (0, 0)
    for (place, index) in order.enumerated() {
      if isPositive[index] { trues += 1 } else { falses += 1 }
      if place + 1 < order.count, scores[order[place + 1]] == scores[index] { continue }
      falseRates.append(Double(falses) / Double(negatives))
      trueRates.append(Double(trues) / Double(positives))
      limits.append(scores[index])
    }
    falsePositiveRates = falseRates
    truePositiveRates = trueRates
    thresholds = limits
  }

  /// The area under the curve by the trapezoidal rule.
  public var area: Double {
    (1..<falsePositiveRates.count).reduce(0) { sum, point in
      let width = falsePositiveRates[point] - falsePositiveRates[point - 1]
      return sum + width * (truePositiveRates[point] + truePositiveRates[point - 1]) / 2
    }
  }

  /// One curve per class against all others. `scores`: row-major `[n, classCount]`. Throws when a
  /// class has no example, or all.
  public static func oneVersusRest(
    scores: [Float], labels: [Int32], classCount: Int
  ) throws -> [ROCCurve] {
    try Requirement.rows(scores, labels, classCount, operation: "ROCCurve")
    return try (0..<classCount).map { label in
      try ROCCurve(
        scores: labels.indices.map { scores[$0 * classCount + label] },
        isPositive: labels.map { Int($0) == label })
    }
  }

  /// The mean area over the classes, plain (`.macro`) or weighted by their examples (`.weighted`);
  /// `.micro` is the area of one curve over all entries of the score matrix.
  public static func area(
    scores: [Float], labels: [Int32], classCount: Int, averaging: Averaging = .macro
  ) throws -> Double {
    if averaging == .micro {
      try Requirement.rows(scores, labels, classCount, operation: "ROCCurve")
      let isPositive = labels.flatMap { label in (0..<classCount).map { $0 == Int(label) } }
      return try ROCCurve(scores: scores, isPositive: isPositive).area
    }
    let areas = try oneVersusRest(scores: scores, labels: labels, classCount: classCount)
      .map(\.area)
    guard averaging == .weighted else { return areas.reduce(0, +) / Double(areas.count) }
    return labels.reduce(0) { $0 + areas[Int($1)] } / Double(labels.count)
  }
}

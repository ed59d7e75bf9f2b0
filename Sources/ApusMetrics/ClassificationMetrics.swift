import ApusDevice
import Foundation

/// Figures of classifiers. Scores and probabilities are row-major `[n, classCount]`. Definitions are
/// those of `sklearn.metrics` unless noted. All throw when counts do not fit, when there are no
/// examples, and for values that are not finite.
public enum ClassificationMetrics {
  /// The share of equal pairs.
  public static func accuracy(predictions: [Int32], labels: [Int32]) throws -> Double {
    try Requirement.pairs(predictions.count, labels.count, operation: "accuracy")
    return Double(zip(predictions, labels).count { $0 == $1 }) / Double(labels.count)
  }

  /// The share of examples whose class is among the `k` greatest scores. Of equal scores the class of
  /// the greater index counts as greater.
  public static func topKAccuracy(
    scores: [Float], labels: [Int32], classCount: Int, k: Int
  ) throws -> Double {
    try Requirement.rows(scores, labels, classCount, operation: "topKAccuracy")
    guard k > 0 else {
      throw ApusError(.value, operation: "topKAccuracy", "k is \(k); it must be positive")
    }
    let hits = labels.indices.count { row in
      let label = Int(labels[row])
      let own = scores[row * classCount + label]
      let ahead = (0..<classCount).count { other in
        let score = scores[row * classCount + other]
        return score > own || score == own && other > label
      }
      return ahead < k
    }
    return Double(hits) / Double(labels.count)
  }

  /// The mean of `−log p` of the true class, with `p` held between 2⁻²³ and 1 − 2⁻²³.
  public static func logLoss(
    probabilities: [Float], labels: [Int32], classCount: Int
  ) throws -> Double {
    try Requirement.rows(probabilities, labels, classCount, operation: "logLoss")
    let epsilon = Double(Float.ulpOfOne)
    let sum = labels.enumerated().reduce(0.0) { sum, entry in
      let p = Double(probabilities[entry.offset * classCount + Int(entry.element)])
      return sum - log(min(max(p, epsilon), 1 - epsilon))
    }
    return sum / Double(labels.count)
  }

  /// The mean squared distance of probabilities from the truth (Brier 1950): summed over the classes,
  /// halved for two classes, where it is then `(p₁ − y)²`.
  public static func brierScore(
    probabilities: [Float], labels: [Int32], classCount: Int
  ) throws -> Double {
    try Requirement.rows(probabilities, labels, classCount, operation: "brierScore")
    var sum = 0.0
    for (row, label) in labels.enumerated() {
      for column in 0..<classCount {
        let truth = column == Int(label) ? 1.0 : 0
        let difference = Double(probabilities[row * classCount + column]) - truth
        sum += difference * difference
      }
    }
    return sum / Double(labels.count) / (classCount == 2 ? 2 : 1)
  }

  /// Expected calibration error: examples fall into bins of equal width by their greatest
  /// probability; the mean over examples of `|accuracy − confidence|` of their bin.
  ///
  /// Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
  /// Bins are open below and closed above.
  public static func calibrationError(
    probabilities: [Float], labels: [Int32], classCount: Int, binCount: Int = 15
  ) throws -> Double {
    let bins = try calibration(
      probabilities: probabilities, labels: labels, classCount: classCount, binCount: binCount)
    return bins.reduce(0) {
      $0 + Double($1.count) * ($1.accuracy - $1.confidence).magnitude
    } / Double(labels.count)
  }

  /// The bins of a reliability diagram; see ``calibrationError(probabilities:labels:classCount:binCount:)``.
  public static func calibration(
    probabilities: [Float], labels: [Int32], classCount: Int, binCount: Int = 15
  ) throws -> [CalibrationBin] {
    try Requirement.rows(probabilities, labels, classCount, operation: "calibration")
    guard (1...1_000_000).contains(binCount) else {
      throw ApusError(
        .value, operation: "calibration", "binCount is \(binCount); it must be 1 to 1 000 000")
    }
    guard probabilities.allSatisfy({ (0...1.0001).contains($0) }) else {
      throw ApusError(.value, operation: "calibration", "probabilities must lie between 0 and 1")
    }
    var sums = [(count: Int, correct: Int, confidence: Double)](
      repeating: (0, 0, 0), count: binCount)
    for (row, label) in labels.enumerated() {
      var best = 0
      for column in 1..<max(classCount, 1) {
        if probabilities[row * classCount + column] > probabilities[row * classCount + best] {
          best = column
        }
      }
      let confidence = Double(probabilities[row * classCount + best])
      let bin = min(max(Int((confidence * Double(binCount)).rounded(.up)) - 1, 0), binCount - 1)
      sums[bin].count += 1
      sums[bin].correct += best == Int(label) ? 1 : 0
      sums[bin].confidence += confidence
    }
    return sums.map { sum in
      let divisor = Double(max(sum.count, 1))
      return CalibrationBin(
        count: sum.count, accuracy: Double(sum.correct) / divisor,
        confidence: sum.confidence / divisor)
    }
  }
}

/// A bar of a reliability diagram; accuracy and mean confidence are 0 where it holds no example.
public struct CalibrationBin: Codable, Sendable, Hashable {
  public let count: Int
  public let accuracy: Double
  public let confidence: Double
}

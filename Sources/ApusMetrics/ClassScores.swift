/// Precision, recall and F1 of one class or an average. A quotient by zero is 0, as in scikit-learn.
public struct ClassScores: Codable, Sendable, Hashable {
  public let precision: Double
  public let recall: Double
  public let f1: Double
  /// True examples behind the figures.
  public let support: Int
}

/// How figures of classes become one.
public enum Averaging: String, Codable, Sendable, Hashable, CaseIterable {
  /// The mean over classes that occur among labels or predictions.
  case macro
  /// From the counts of all classes together.
  case micro
  /// The mean weighted by support.
  case weighted
}

extension ConfusionMatrix {
  public func scores(ofClass label: Int) -> ClassScores {
    ClassScores(
      truePositives: counts[label][label], predicted: predicted(label), support: support(label))
  }

  /// Definitions of `sklearn.metrics.precision_recall_fscore_support`.
  public func scores(_ averaging: Averaging) -> ClassScores {
    if averaging == .micro {
      return ClassScores(truePositives: correct, predicted: total, support: total)
    }
    let each = counts.indices.map { scores(ofClass: $0) }
    let weights = counts.indices.map { label -> Double in
      let support = each[label].support
      if averaging == .weighted { return Double(support) }
      return support + predicted(label) > 0 ? 1 : 0
    }
    let sum = weights.reduce(0, +)
    func mean(_ figure: (ClassScores) -> Double) -> Double {
      quotient(zip(each, weights).reduce(0) { $0 + figure($1.0) * $1.1 }, sum)
    }
    return ClassScores(
      precision: mean(\.precision), recall: mean(\.recall), f1: mean(\.f1), support: total)
  }
}

extension ClassScores {
  fileprivate init(truePositives: Int, predicted: Int, support: Int) {
    self.init(
      precision: quotient(Double(truePositives), Double(predicted)),
      recall: quotient(Double(truePositives), Double(support)),
      f1: quotient(2 * Double(truePositives), Double(predicted + support)), support: support)
  }
}

private func quotient(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }

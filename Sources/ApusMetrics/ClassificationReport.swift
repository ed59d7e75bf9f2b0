/// The figures of a classifier on labelled examples, ready for a file.
public struct ClassificationReport: Codable, Sendable, Hashable {
  public struct PerClass: Codable, Sendable, Hashable {
    public let name: String
    public let precision: Double
    public let recall: Double
    public let f1: Double
    public let support: Int
  }

  /// Examples.
  public let count: Int
  public let accuracy: Double
  /// Macro averages over the classes that occur; see ``Averaging/macro``.
  public let precision: Double
  public let recall: Double
  public let f1: Double
  /// Rows are the truth, columns the predictions.
  public let confusionMatrix: [[Int]]
  public let classes: [PerClass]

  /// Throws when the counts differ, there are no examples, or an index is outside `classNames`.
  public init(predictions: [Int32], labels: [Int32], classNames: [String]) throws {
    let matrix = try ConfusionMatrix(
      predictions: predictions, labels: labels, classCount: classNames.count)
    let macro = matrix.scores(.macro)
    count = matrix.total
    accuracy = Double(matrix.correct) / Double(matrix.total)
    precision = macro.precision
    recall = macro.recall
    f1 = macro.f1
    confusionMatrix = matrix.counts
    classes = classNames.enumerated().map { index, name in
      let scores = matrix.scores(ofClass: index)
      return PerClass(
        name: name, precision: scores.precision, recall: scores.recall, f1: scores.f1,
        support: scores.support)
    }
  }
}

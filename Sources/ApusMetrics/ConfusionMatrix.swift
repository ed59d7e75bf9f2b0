import ApusDevice

/// How often class `row` was taken for class `column`.
public struct ConfusionMatrix: Codable, Sendable, Hashable {
  /// `[classes][classes]`: rows are the truth, columns the predictions.
  public let counts: [[Int]]

  /// Throws when the counts differ, there are none, or an index is outside `0..<classCount`.
  public init(predictions: [Int32], labels: [Int32], classCount: Int) throws {
    try Requirement.pairs(predictions.count, labels.count, operation: "ConfusionMatrix")
    try Requirement.indices(predictions, below: classCount, operation: "ConfusionMatrix")
    try Requirement.indices(labels, below: classCount, operation: "ConfusionMatrix")
    var counts = [[Int]](repeating: [Int](repeating: 0, count: classCount), count: classCount)
    for (prediction, label) in zip(predictions, labels) {
      counts[Int(label)][Int(prediction)] += 1
    }
    self.counts = counts
  }

  public var classCount: Int { counts.count }
  public var total: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }
  public var correct: Int { counts.indices.reduce(0) { $0 + counts[$1][$1] } }
  /// Examples of a class.
  public func support(_ label: Int) -> Int { counts[label].reduce(0, +) }
  /// Examples taken for a class.
  public func predicted(_ label: Int) -> Int { counts.reduce(0) { $0 + $1[label] } }
}

/// What every metric demands of its input.
enum Requirement {
  static func pairs(_ a: Int, _ b: Int, operation: String) throws {
    guard a == b else {
      throw ApusError(
        .shape, operation: operation, "\(a) predictions do not go with \(b) true values")
    }
    guard a > 0 else {
      throw ApusError(.data, operation: operation, "a metric of no examples is undefined")
    }
  }

  static func indices(_ values: [Int32], below bound: Int, operation: String) throws {
    if let bad = values.firstIndex(where: { $0 < 0 || Int($0) >= bound }) {
      throw ApusError(
        .value, operation: operation,
        "class \(values[bad]) of example \(bad) is outside 0..<\(bound)")
    }
  }

  static func rows(_ values: [Float], _ labels: [Int32], _ classCount: Int, operation: String)
    throws
  {
    guard classCount > 0, values.count == labels.count * classCount else {
      throw ApusError(
        .shape, operation: operation,
        "\(labels.count) examples of \(classCount) classes need as many scores, not \(values.count)"
      )
    }
    guard !labels.isEmpty else {
      throw ApusError(.data, operation: operation, "a metric of no examples is undefined")
    }
    try indices(labels, below: classCount, operation: operation)
    try finite(values, operation: operation)
  }

  static func finite<Value: BinaryFloatingPoint>(_ values: [Value], operation: String) throws {
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw ApusError(.data, operation: operation, "value \(bad) is \(values[bad]), not finite")
    }
  }
}

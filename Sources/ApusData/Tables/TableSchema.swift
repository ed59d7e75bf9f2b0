import ApusDevice

/// How the columns of a table become features and a target. Made from the training table, stored
/// with the model, so that a table at prediction time is encoded in the same way.
public struct TableSchema: Codable, Sendable, Hashable {
  public struct Column: Codable, Sendable, Hashable {
    public enum Kind: Codable, Sendable, Hashable {
      /// One feature.
      case numeric
      /// One feature of 0 or 1 per category, in this order.
      case categorical([String])
    }

    public let name: String
    public let kind: Kind
    /// The column's place in the training table, from 0.
    public let position: Int

    public init(name: String, kind: Kind, position: Int) {
      self.name = name
      self.kind = kind
      self.position = position
    }
  }

  /// What the target column holds.
  public enum Target: Codable, Sendable, Hashable {
    /// Class names in the order of their indices.
    case classes([String])
    case number
  }

  /// The feature columns, in the order of the features.
  public let columns: [Column]
  public let targetName: String
  /// The target's place in the training table, from 0.
  public let targetPosition: Int
  public let target: Target
  /// Whether columns are found by name (the training table had a header) or by place.
  public let hasHeader: Bool

  public init(
    columns: [Column], targetName: String, targetPosition: Int, target: Target, hasHeader: Bool
  ) {
    self.columns = columns
    self.targetName = targetName
    self.targetPosition = targetPosition
    self.target = target
    self.hasHeader = hasHeader
  }

  /// The number of values one row becomes.
  public var featureCount: Int {
    columns.reduce(0) { sum, column in
      switch column.kind {
      case .numeric: sum + 1
      case .categorical(let categories): sum + categories.count
      }
    }
  }

  /// One name per feature: the column's, or `column=category`.
  public var featureNames: [String] {
    columns.flatMap { column in
      switch column.kind {
      case .numeric: [column.name]
      case .categorical(let categories): categories.map { "\(column.name)=\($0)" }
      }
    }
  }

  /// Empty for regression.
  public var classNames: [String] {
    if case .classes(let names) = target { names } else { [] }
  }

  /// Reads a CSV or TSV file and encodes it by this schema. Columns are found by name where the
  /// schema has names; more columns than needed do no harm then. A table that begins with a record
  /// instead of names is read by place, unless `options.hasHeader` decides. Where the target column is absent, or
  /// not wanted, the dataset has no labels; `options.target` names another one. Throws with file, line and column for a field that does not
  /// fit.
  public func dataset(
    readingFrom path: String, options: DataOptions = DataOptions(), withTarget: Bool = true
  ) throws -> Dataset {
    var table = try CSVTable(
      path: path, delimiter: options.delimiter, hasHeader: options.hasHeader ?? hasHeader)
    if options.hasHeader == nil, let header = table.header, isRecord(header) {
      table = try CSVTable(path: path, delimiter: options.delimiter, hasHeader: false)
    }
    return try dataset(table, name: path, withTarget: withTarget, target: options.target)
  }

  /// Whether a first line is a record rather than names: it has the right number of fields, none of
  /// them is a name of ours, and every numeric column holds a number.
  private func isRecord(_ line: [String]) -> Bool {
    guard line.count == columns.count || line.count == columns.count + 1,
      !line.contains(where: { field in columns.contains { $0.name == field } })
    else { return false }
    return columns.allSatisfy { column in
      guard column.kind == .numeric else { return true }
      let isShifted = line.count == columns.count && column.position > targetPosition
      return Float(line[isShifted ? column.position - 1 : column.position]) != nil
    }
  }

  package func dataset(
    _ table: CSVTable, name: String, withTarget: Bool = true, target given: String? = nil
  ) throws -> Dataset {
    var places = try place(in: table)
    if withTarget, let given { places.target = try table.column(named: given) }
    let encodings = columns.map(Encoding.init)
    var features: [Float] = []
    features.reserveCapacity(table.rowCount * featureCount)
    for row in 0..<table.rowCount {
      for (column, encoding) in zip(places.features, encodings) {
        try encoding.append(table, row, column, to: &features)
      }
    }
    var labels: [Int32] = []
    var targets: [Float]?
    if withTarget, let column = places.target {
      switch target {
      case .number: targets = try (0..<table.rowCount).map { try table.finite($0, column) }
      case .classes(let names): labels = try TableSchema.labels(table, column, names)
      }
    }
    return try Dataset(
      name: name, features: features, featureShape: [featureCount], labels: labels,
      classNames: classNames, featureNames: featureNames, targets: targets)
  }

  /// Where this schema's columns stand in `table`.
  private func place(in table: CSVTable) throws -> (features: [Int], target: Int?) {
    if hasHeader, let header = table.header {
      let features = try columns.map { column in
        guard let place = header.firstIndex(of: column.name) else {
          throw ApusError(
            .data, operation: "\(table.path):1",
            "has no column '\(column.name)', which the model needs; it has "
              + header.map { "'\($0)'" }.joined(separator: ", ")
              + ". Where this line holds values, say that there is no header (--no-header)")
        }
        return place
      }
      return (features, header.firstIndex(of: targetName))
    }
    switch table.columnCount {
    case columns.count + 1: return (columns.map(\.position), targetPosition)
    case columns.count:
      return (columns.map { $0.position > targetPosition ? $0.position - 1 : $0.position }, nil)
    default:
      throw ApusError(
        .data, operation: table.path,
        "has \(table.columnCount) columns; the model needs \(columns.count), or "
          + "\(columns.count + 1) with the target")
    }
  }

  private static func labels(
    _ table: CSVTable, _ column: Int, _ names: [String]
  ) throws -> [Int32] {
    let indices = Dictionary(
      zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    // Classes that are numbers are found however the number is written.
    let numbers = names.compactMap { name in Double(name).map { ($0, indices[name] ?? 0) } }
    let byNumber =
      numbers.count == names.count
      ? Dictionary(numbers, uniquingKeysWith: { first, _ in first }) : [:]
    return try (0..<table.rowCount).map { row in
      let name = try table.category(row, column)
      guard let index = indices[name] ?? Double(name).flatMap({ byNumber[$0] }) else {
        throw table.error(
          row, column, "'\(name)' is none of the classes \(CSVTable.list(names))")
      }
      return Int32(index)
    }
  }

  /// A column ready to encode fields.
  private struct Encoding {
    let indices: [String: Int]?
    let categories: [String]

    init(_ column: Column) {
      switch column.kind {
      case .numeric: (indices, categories) = (nil, [])
      case .categorical(let names):
        categories = names
        indices = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
      }
    }

    func append(
      _ table: CSVTable, _ row: Int, _ column: Int, to features: inout [Float]
    ) throws {
      guard let indices else { return features.append(try table.finite(row, column)) }
      let name = try table.category(row, column)
      guard let index = indices[name] else {
        throw table.error(
          row, column,
          "the category '\(name)' did not occur in training; known are \(CSVTable.list(categories))"
        )
      }
      for category in categories.indices { features.append(category == index ? 1 : 0) }
    }
  }
}

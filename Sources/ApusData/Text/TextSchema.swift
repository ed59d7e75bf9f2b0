import ApusDevice

/// Which columns of a table are the text and its class. Made from the training table and stored with the
/// model, so that tables at prediction time are read in the same way.
public struct TextSchema: Codable, Sendable, Hashable {
  public let textName: String
  /// The column's place in the training table, from 0.
  public let textPosition: Int
  public let targetName: String
  public let targetPosition: Int
  /// Whether columns are found by name (the training table had a header) or by place.
  public let hasHeader: Bool
  public let encoding: TextFile.Encoding

  /// Finds the columns of a training table: those that the options name, else the one with the longest
  /// fields as the text, and the last of the others as the class.
  init(inferringFrom table: CSVTable, options: DataOptions) throws {
    guard table.columnCount > 1 else {
      throw ApusError(
        .data, operation: table.path,
        "has a single column; a text and its class need two (is the delimiter right?)")
    }
    let target = try options.target.map { try table.column(named: $0) }
    let text =
      try options.textColumn.map { try table.column(named: $0) }
      ?? TextSchema.longestColumn(of: table, otherThan: target)
    let last = text == table.columnCount - 1 ? table.columnCount - 2 : table.columnCount - 1
    guard target != text else {
      throw ApusError(
        .value, operation: table.path,
        "the text and its class cannot both be column \(table.columnName(text)); name two columns "
          + "with --text-column and --target")
    }
    func name(_ column: Int) -> String { table.header?[column] ?? "column \(column + 1)" }
    textPosition = text
    textName = name(text)
    targetPosition = target ?? last
    targetName = name(targetPosition)
    hasHeader = table.header != nil
    encoding = options.textEncoding
  }

  static func longestColumn(of table: CSVTable, otherThan target: Int? = nil) -> Int {
    let columns = (0..<table.columnCount).filter { $0 != target }
    let sizes = columns.map { column in
      (0..<table.rowCount).reduce(0) { $0 + table[$1, column].range.count }
    }
    let best = sizes.indices.max { sizes[$0] < sizes[$1] } ?? 0
    return columns[best]
  }

  /// Reads a table by this schema. Columns are found by name where the schema has names; a table of a
  /// single column is all texts.
  /// - Parameter classNames: The classes of the model; found in the table for nil.
  /// - Returns: Texts, with labels where there is a column of classes.
  /// - Throws: ``ApusError`` naming file and line of what does not fit.
  public func dataset(
    readingFrom path: String, options: DataOptions = DataOptions(), classNames: [String],
    withTarget: Bool = true
  ) throws -> Dataset {
    let text = try TextFile.read(path, encoding: encoding)
    func read(_ header: Bool) throws -> CSVTable {
      try CSVTable(text: text, path: path, delimiter: options.delimiter, hasHeader: header)
    }
    var table = try read(options.hasHeader ?? hasHeader)
    if options.hasHeader == nil, hasHeader, table.header?.contains(textName) == false {
      // Not our names, so a line of values: a table without a header.
      table = try read(false)
    }
    return try dataset(table, name: path, classNames: classNames, withTarget: withTarget)
  }

  func dataset(
    _ table: CSVTable, name: String, classNames known: [String]? = nil, withTarget: Bool = true
  ) throws -> Dataset {
    let places = try places(in: table)
    let texts = try (0..<table.rowCount).map { try table.text($0, places.text) }
    guard withTarget, let target = places.target else {
      return try Dataset(name: name, texts: texts, classNames: known ?? [])
    }
    let classes = try (0..<table.rowCount).map { try table.category($0, target) }
    let names = known ?? TextSchema.sorted(Set(classes))
    let indices = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    let labels = try classes.enumerated().map { row, name in
      guard let index = indices[name] else {
        throw table.error(row, target, "'\(name)' is none of the classes \(CSVTable.list(names))")
      }
      return Int32(clamping: index)
    }
    return try Dataset(name: name, texts: texts, labels: labels, classNames: names)
  }

  /// Whole numbers in their order, words in alphabetical order.
  static func sorted(_ names: Set<String>) -> [String] {
    names.allSatisfy { Int($0) != nil }
      ? names.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) } : names.sorted()
  }

  private func places(in table: CSVTable) throws -> (text: Int, target: Int?) {
    if hasHeader, let header = table.header {
      guard let text = header.firstIndex(of: textName) else {
        throw ApusError(
          .data, operation: "\(table.path):1",
          "has no column '\(textName)', which holds the text; it has \(CSVTable.list(header))")
      }
      return (text, header.firstIndex(of: targetName))
    }
    if table.columnCount == 1 { return (0, nil) }
    // A damaged file can claim any numbers.
    guard min(textPosition, targetPosition) >= 0,
      max(textPosition, targetPosition) < table.columnCount
    else {
      throw ApusError(
        .data, operation: table.path,
        "has \(table.columnCount) columns; the model was trained with the text in '\(textName)' and its "
          + "class in '\(targetName)', or give a column of texts alone")
    }
    return (textPosition, targetPosition)
  }
}

import ApusDevice

extension TableSchema {
  /// More categories than this are taken for free text or identifiers.
  static let categoryLimit = 1_000

  /// Finds out what the columns of `table` hold.
  ///
  /// A column whose fields are numbers is numeric; one without any number, or listed among
  /// `options.categoricalColumns`, is categorical. A mixture, a missing number and an infinite one are
  /// errors with their place: nothing is guessed.
  package init(inferringFrom table: CSVTable, options: DataOptions) throws {
    guard table.columnCount > 1 else {
      throw ApusError(
        .data, operation: table.path,
        "has a single column; features and a target need at least two (is the delimiter right?)")
    }
    func name(_ column: Int) -> String { table.header?[column] ?? "column \(column + 1)" }
    let targetColumn = try table.column(named: options.target)
    let categorical = Set(
      try options.categoricalColumns.map { try table.column(named: $0) })
    columns = try (0..<table.columnCount).filter { $0 != targetColumn }.map { column in
      let isNumeric = try !categorical.contains(column) && table.isNumeric(column)
      if isNumeric { try table.requireResolution(column) }
      return Column(
        name: name(column),
        kind: isNumeric ? .numeric : .categorical(try table.categories(column)),
        position: column)
    }
    target = try TableSchema.target(
      table, targetColumn,
      options.task ?? (categorical.contains(targetColumn) ? .classification : nil))
    if target == .number { try table.requireResolution(targetColumn) }
    targetName = name(targetColumn)
    targetPosition = targetColumn
    hasHeader = table.header != nil
  }

  /// Words and whole numbers are classes, other numbers a real target, unless `task` says otherwise.
  /// Many whole numbers with few rows each might be either, so the user must say.
  private static func target(
    _ table: CSVTable, _ column: Int, _ task: DataOptions.Task?
  ) throws -> Target {
    if task == .regression { return .number }
    let values = (0..<table.rowCount).compactMap { table.exactNumber($0, column) }
    let isFractional = values.contains { $0.rounded() != $0 }
    if task == nil, values.count == table.rowCount, isFractional { return .number }
    var names: Set<String> = []
    for row in 0..<table.rowCount { names.insert(try table.category(row, column)) }
    if values.count == table.rowCount { names = onceEach(names) }
    if task == nil, values.count == table.rowCount, names.count > 20,
      names.count * 10 > table.rowCount
    {
      throw table.error(
        0, column,
        "the target has \(names.count) different whole numbers in \(table.rowCount) rows; say "
          + "whether they are classes (--categorical \(table.header?[column] ?? "\(column + 1)")) or numbers "
          + "(--loss mse)")
    }
    let isWhole = names.allSatisfy { Int($0) != nil }
    return .classes(
      isWhole
        ? names.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) } : names.sorted())
  }
}

extension TableSchema {
  /// The names of numbers as they are written, or where one number is written in several ways, such as 5 and
  /// 5.0, all in the shortest.
  private static func onceEach(_ names: Set<String>) -> Set<String> {
    let numbers = names.compactMap(Double.init)
    guard numbers.count == names.count, Set(numbers).count < names.count else { return names }
    return Set(numbers.map(name(of:)))
  }

  static func name(of number: Double) -> String {
    // −0 is 0.
    Int(exactly: number).map(String.init) ?? "\(number)"
  }
}

extension CSVTable {
  /// The column of a name, or of a number counted from 1 (−1 is the last); nil is the last.
  func column(named name: String?) throws -> Int {
    guard let name else { return columnCount - 1 }
    if let column = header?.firstIndex(of: name) { return column }
    if let number = Int(name) {
      if number >= 1, number <= columnCount { return number - 1 }
      if number <= -1, number >= -columnCount { return columnCount + number }
    }
    let names = header.map { "it has " + CSVTable.list($0) } ?? "it has no header"
    throw ApusError(
      .data, operation: path,
      "has no column '\(name)'; \(names), and columns can be numbered 1 to \(columnCount)")
  }

  /// Whether all fields are numbers; throws at the first field that makes the column a mixture, or
  /// that is missing among numbers.
  func isNumeric(_ column: Int) throws -> Bool {
    var numbers = 0
    var firstOther: Int?
    for row in 0..<rowCount {
      if number(row, column) != nil || isNotFinite(row, column) {
        numbers += 1
      } else if firstOther == nil {
        firstOther = row
      }
    }
    guard let row = firstOther else { return true }
    guard numbers > 0 else {
      if hasDecimalComma(row, column) {
        throw error(
          row, column,
          "'\(try text(row, column))' looks like a number with a decimal comma; write a point")
      }
      return false
    }
    if isMissing(row, column) {
      throw error(
        row, column,
        "the value is missing, though the column is numeric; fill it in or drop the row")
    }
    throw error(
      row, column,
      "'\(try text(row, column))' is no number, though \(numbers) other fields of the column are; "
        + "correct it, or declare the column categorical")
  }

  /// Refuses a column whose numbers are so far from 0 beside their differences that 32-bit floating point
  /// would blur these.
  func requireResolution(_ column: Int) throws {
    var (mean, squares, count) = (0.0, 0.0, 0.0)
    for row in 0..<rowCount {
      guard let value = exactNumber(row, column), value.isFinite else { continue }
      count += 1
      let step = value - mean
      mean += step / count
      squares += step * (value - mean)
    }
    let deviation = (squares / max(count, 1)).squareRoot()
    // A step of Float is a sixteen-millionth of a number: beyond this, more than half a percent of the deviation.
    guard deviation > 0, mean.magnitude > 1e5 * deviation else { return }
    throw error(
      0, column,
      "the numbers lie around \(Float(mean)) and differ from each other by some \(Float(deviation)), which "
        + "32-bit floating point blurs; subtract \(Float(mean)) from the column first")
  }

  /// Digits, a comma, digits: a number of the continental kind, which would pass for a category.
  private func hasDecimalComma(_ row: Int, _ column: Int) -> Bool {
    var field = bytes[self[row, column].range]
    if field.first == UInt8(ascii: "-") { field = field.dropFirst() }
    let parts = field.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return parts.count == 2
      && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { digits.contains($0) } }
  }

  private func isNotFinite(_ row: Int, _ column: Int) -> Bool {
    let word = String(decoding: bytes[self[row, column].range].prefix(10), as: UTF8.self)
      .lowercased()
    return ["inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"].contains(word)
  }

  /// The different fields of a column, sorted.
  func categories(_ column: Int) throws -> [String] {
    var names: Set<String> = []
    for row in 0..<rowCount {
      names.insert(try category(row, column))
      guard names.count <= TableSchema.categoryLimit else {
        throw error(
          row, column,
          "more than \(TableSchema.categoryLimit) different texts; a column of identifiers or free "
            + "text cannot be a category; leave it out, or learn from texts with a model of texts (--model "
            + "text-gru)")
      }
    }
    return names.sorted()
  }

  /// The field as a category. Throws when it is empty.
  func category(_ row: Int, _ column: Int) throws -> String {
    let name = try text(row, column)
    guard !name.isEmpty else {
      throw error(row, column, "the value is missing; fill it in or drop the row")
    }
    return name
  }

  /// The field as a finite number. Throws with its place otherwise.
  func finite(_ row: Int, _ column: Int) throws -> Float {
    if let number = number(row, column) {
      guard number.isFinite else {
        throw error(
          row, column, "\(try text(row, column)) is beyond the range of 32-bit floating point")
      }
      return number
    }
    guard !isMissing(row, column) else {
      throw error(row, column, "the value is missing or NaN; fill it in or drop the row")
    }
    throw error(row, column, "'\(try text(row, column))' is not a finite number")
  }

  /// A few names, for messages.
  static func list(_ names: [String]) -> String {
    let shown = names.prefix(12).map { "'\($0)'" }.joined(separator: ", ")
    return names.count > 12 ? shown + " and \(names.count - 12) more" : shown
  }
}

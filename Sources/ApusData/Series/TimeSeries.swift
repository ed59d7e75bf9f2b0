import ApusDevice

/// Columns of numbers along time, as a table holds them.
public struct TimeSeries: Sendable {
  public let path: String
  public let timeColumn: String
  public let columns: [String]
  /// As the table writes them, ascending.
  public let times: [String]
  /// Row-major `[times, columns]`, as exactly as the table writes them: a level far above the changes
  /// takes nothing from them.
  public let values: [Double]
  /// What a user should know of how it was read.
  public let notes: [String]
  let stamps: [TimeStamp]

  public var count: Int { times.count }

  /// Reads a table whose rows are in the order of time.
  ///
  /// - Parameters:
  ///   - timeColumn: By name, or number from 1; the first column of times for nil.
  ///   - columns: Those wanted, in this order; all columns of numbers for nil.
  /// - Throws: ``ApusError`` with file, line and column for missing or odd values, times that are no
  ///   times, equal to the one before or earlier.
  public init(
    path: String, timeColumn: String? = nil, columns wanted: [String]? = nil,
    options: DataOptions = DataOptions()
  ) throws {
    try self.init(
      CSVTable(path: path, delimiter: options.delimiter, hasHeader: options.hasHeader),
      timeColumn: timeColumn, columns: wanted)
  }

  package init(_ table: CSVTable, timeColumn: String?, columns wanted: [String]?) throws {
    guard table.rowCount > 0 else {
      throw ApusError(.data, operation: table.path, "holds no rows below its header")
    }
    path = table.path
    let place = try Self.timePlace(table, timeColumn)
    func name(_ column: Int) -> String { table.header?[column] ?? String(column + 1) }
    self.timeColumn = name(place)
    let stamps = try Self.stamps(table, place)
    self.stamps = stamps
    times = try (0..<table.rowCount).map { try table.text($0, place) }
    var notes: [String] = []
    var places: [Int] = []
    if let wanted {
      places = try wanted.map { try table.column(named: $0) }
    } else {
      for column in 0..<table.columnCount where column != place {
        if try table.isNumeric(column) {
          places.append(column)
        } else {
          notes.append("column '\(name(column))' holds no numbers and is left out")
        }
      }
    }
    guard !places.isEmpty else {
      throw ApusError(.data, operation: table.path, "has no columns of numbers beside the times")
    }
    columns = places.map(name)
    var values: [Double] = []
    values.reserveCapacity(table.rowCount * places.count)
    for row in 0..<table.rowCount {
      for column in places {
        let rounded = try table.finite(row, column)
        values.append(table.exactNumber(row, column) ?? Double(rounded))
      }
    }
    self.values = values
    if let gap = Self.gap(stamps) {
      notes.append(
        "times are not evenly spaced (\(times[gap - 1]), then \(times[gap])); steps are taken as equal"
      )
    }
    self.notes = notes
  }

  private static func timePlace(_ table: CSVTable, _ name: String?) throws -> Int {
    if let name { return try table.column(named: name) }
    // Dates first: a column of numbers that happens to rise is rather a value.
    for column in 0..<table.columnCount {
      let text = try table.text(0, column)
      if TimeStamp(text) != nil, Double(text) == nil { return column }
    }
    for column in 0..<table.columnCount {
      let isNamed = ["date", "time", "timestamp", "datetime", "t", "ds", "month", "year", "day"]
        .contains(table.header?[column].lowercased() ?? "")
      if isNamed, TimeStamp(try table.text(0, column)) != nil { return column }
    }
    throw ApusError(
      .data, operation: table.path,
      "has no column of times that can be told (2024-01-31, 2024-01-31 13:00, 2024-01 or numbers under "
        + "a name such as 'time'); name it with --time-column")
  }

  private static func stamps(_ table: CSVTable, _ column: Int) throws -> [TimeStamp] {
    var stamps: [TimeStamp] = []
    stamps.reserveCapacity(table.rowCount)
    for row in 0..<table.rowCount {
      let text = try table.text(row, column)
      guard let stamp = TimeStamp(text), stamps.last?.isLike(stamp) ?? true else {
        throw table.error(
          row, column,
          "'\(text)' is no time"
            + (stamps.isEmpty ? "" : " of the kind of '\(try table.text(row - 1, column))'")
            + "; dates are written 2024-01-31 or 2024-01-31 13:00")
      }
      if let last = stamps.last, stamp.value <= last.value {
        throw table.error(
          row, column,
          stamp.value == last.value
            ? "the time '\(text)' is that of the row before; every time may occur once"
            : "the time '\(text)' is earlier than '\(try table.text(row - 1, column))' before it; "
              + "sort the rows by time")
      }
      stamps.append(stamp)
    }
    return stamps
  }

  /// The first row that follows after more than twice the usual distance.
  private static func gap(_ stamps: [TimeStamp]) -> Int? {
    guard stamps.count > 2 else { return nil }
    let steps = (1..<stamps.count).map { stamps[$0].value - stamps[$0 - 1].value }
    let usual = steps.sorted()[steps.count / 2]
    return steps.firstIndex { $0 > 2 * usual * (1 + 1e-9) }.map { $0 + 1 }
  }

  /// The first row at a time, as the table writes times, or after it; nil where there is none.
  public func row(atOrAfter time: String) -> Int? {
    guard let stamp = TimeStamp(time) else { return nil }
    return stamps.firstIndex { $0.value >= stamp.value }
  }

  /// How many rows at the beginning a model has seen in training or validation, told by their times.
  /// - Throws: ``ApusError`` where the times are of another kind than those of training.
  public func seenCount(by forecasting: Forecasting) throws -> Int {
    let times = [forecasting.lastSeen, forecasting.firstUnseen]
    guard let text = times.compactMap({ $0 }).first, let stamp = TimeStamp(text) else { return 0 }
    guard stamps[0].isLike(stamp) else {
      throw ApusError(
        .data, operation: path,
        "has times such as '\(self.times[0])', training had times such as '\(text)', so what it has "
          + "seen cannot be told")
    }
    let isLast = forecasting.lastSeen != nil
    return stamps.firstIndex { isLast ? $0.value > stamp.value : $0.value >= stamp.value } ?? count
  }

  /// The times after the end, at the last distance; numbers of steps where they cannot be told.
  public func nextTimes(_ count: Int) -> [String] {
    TimeStamp.continuing(stamps, count: count) ?? (0..<max(count, 0)).map { "+\($0 + 1)" }
  }
}

import ApusDevice

/// A delimited text file taken apart into fields that know their place.
///
/// Quoting is RFC 4180: a field in double quotes may hold delimiters, line ends and doubled quotes.
/// Spaces around an unquoted field do not count; empty lines are skipped; every record must have as
/// many fields as the first. Where loose quotes are allowed, in text with tabs, a quote that does not enclose
/// a whole field of one line is a character like others.
package struct CSVTable {
  package struct Field {
    package let range: Range<Int>
    /// Counted from 1; the column in bytes.
    package let line: Int
    package let column: Int
    package let isQuoted: Bool
  }

  package let path: String
  package let bytes: [UInt8]
  package let columnCount: Int
  /// The names of the first record where it is a header.
  package private(set) var header: [String]?
  package private(set) var fields: [Field]

  package var rowCount: Int { columnCount == 0 ? 0 : fields.count / columnCount }

  /// Reads a file, packed or not. `hasHeader` nil means: decide by the contents.
  package init(path: String, delimiter: Character? = nil, hasHeader: Bool? = nil) throws {
    try self.init(
      bytes: try FileContents.readUnpacked(path), path: path, delimiter: delimiter,
      hasHeader: hasHeader)
  }

  /// Takes a table of free text apart: quotes may stand loose where tabs separate the fields.
  init(
    text: String, path: String, delimiter: Character? = nil, hasHeader: Bool? = nil
  ) throws {
    try self.init(
      bytes: Array(text.utf8), path: path, delimiter: delimiter, hasHeader: hasHeader,
      takesLooseQuotes: true)
  }

  /// Takes bytes apart; `path` is what errors call them.
  package init(
    bytes: [UInt8], path: String, delimiter: Character? = nil, hasHeader: Bool? = nil,
    takesLooseQuotes: Bool = false
  ) throws {
    if bytes.contains(0) {
      throw ApusError(
        .file, operation: path, "is not text in UTF-8: it holds zero bytes; save it as UTF-8 CSV")
    }
    self.path = path
    self.bytes = bytes
    let separator = try CSVTable.separator(delimiter, bytes: bytes, path: path)
    var scanner = CSVScanner(
      bytes: bytes, delimiter: separator, path: path,
      takesLooseQuotes: takesLooseQuotes && separator == 0x09)
    try scanner.run()
    self.fields = scanner.fields
    self.columnCount = scanner.columnCount
    guard rowCount > 0 else {
      throw ApusError(.file, operation: path, "holds no records")
    }
    if hasHeader ?? looksLikeHeader() {
      header = try (0..<columnCount).map { try text(0, $0) }
      fields.removeFirst(columnCount)
      try requireDistinctNames()
    }
  }

  package subscript(row: Int, column: Int) -> Field { fields[row * columnCount + column] }

  /// The field's text, quotes undone. Throws when it is not UTF-8.
  package func text(_ row: Int, _ column: Int) throws -> String {
    let field = self[row, column]
    guard let text = String(validating: bytes[field.range], as: UTF8.self) else {
      throw error(field, column, "is not UTF-8; save the file as UTF-8")
    }
    guard field.isQuoted else { return text }
    return text.replacing("\"\"", with: "\"")
  }

  /// The field as a number, or nil when it is none. Hexadecimal, NaN and infinities do not count.
  func number(_ row: Int, _ column: Int) -> Float? { digits(row, column).flatMap { Float($0) } }

  /// The same, as exactly as it is written.
  func exactNumber(_ row: Int, _ column: Int) -> Double? {
    digits(row, column).flatMap { Double($0) }
  }

  private func digits(_ row: Int, _ column: Int) -> String? {
    let range = self[row, column].range
    guard range.count < 64, let first = bytes[range].first else { return nil }
    guard bytes[range].allSatisfy({ CSVTable.numeric.contains($0) }) else { return nil }
    var digits = bytes[range]
    if first == 0x2B {
      digits = digits.dropFirst()
      if digits.first == 0x2D { return nil }
    }
    return String(decoding: digits, as: UTF8.self)
  }

  private static let numeric = Set("0123456789+-.eE".utf8)

  /// Empty, or one of the usual words for "no value".
  func isMissing(_ row: Int, _ column: Int) -> Bool {
    let range = self[row, column].range
    guard range.count <= 4 else { return false }
    let word = String(decoding: bytes[range], as: UTF8.self).lowercased()
    return ["", "?", "na", "n/a", "nan", "null", "none"].contains(word)
  }

  /// What a person calls the column (a position counted from 0).
  func columnName(_ column: Int) -> String {
    header.map { "'\($0[column])'" } ?? "number \(column + 1)"
  }

  func error(_ row: Int, _ column: Int, _ message: String) -> ApusError {
    error(self[row, column], column, message)
  }

  private func error(_ field: Field, _ column: Int, _ message: String) -> ApusError {
    ApusError(
      .data, operation: "\(path):\(field.line):\(field.column)",
      "column \(columnName(column)): \(message)")
  }
}

extension CSVTable {
  /// The first record names columns if none of its fields is a number and some column turns to
  /// numbers, or else if none of its fields occurs again in its column.
  private func looksLikeHeader() -> Bool {
    for column in 0..<columnCount where number(0, column) != nil { return false }
    guard rowCount > 1 else { return false }
    for column in 0..<columnCount where number(1, column) != nil { return true }
    let first = (0..<columnCount).map { bytes[self[0, $0].range] }
    for row in 1..<rowCount {
      for column in 0..<columnCount where bytes[self[row, column].range] == first[column] {
        return false
      }
    }
    return true
  }

  private func requireDistinctNames() throws {
    var seen: Set<String> = []
    for name in header ?? [] where !seen.insert(name).inserted {
      throw ApusError(
        .data, operation: "\(path):1", "the header names two columns '\(name)'; rename one")
    }
  }

  private static func separator(
    _ wanted: Character?, bytes: [UInt8], path: String
  ) throws -> UInt8 {
    if let wanted {
      guard let byte = wanted.asciiValue, byte != 0x22, byte != 0x0A, byte != 0x0D else {
        throw ApusError(
          .value, operation: path, "'\(wanted)' cannot be a delimiter; use one ASCII character")
      }
      return byte
    }
    if path.hasSuffix(".tsv") || path.hasSuffix(".tsv.gz") { return 0x09 }
    let line = bytes.prefix { $0 != 0x0A && $0 != 0x0D }
    var counts: [UInt8: Int] = [:]
    var isQuoted = false
    for byte in line {
      if byte == 0x22 { isQuoted.toggle() }
      if !isQuoted { counts[byte, default: 0] += 1 }
    }
    let candidates = [UInt8(ascii: ","), UInt8(ascii: ";"), 0x09, UInt8(ascii: "|")]
    var best = candidates[0]
    for other in candidates where counts[other, default: 0] > counts[best, default: 0] {
      best = other
    }
    return best
  }
}

import ApusDevice

/// One pass over the bytes of a delimited file.
struct CSVScanner {
  private let bytes: [UInt8]
  private let delimiter: UInt8
  private let path: String
  /// Whether a quote that does not enclose a whole field of one line is a character like others.
  private let takesLooseQuotes: Bool
  private(set) var fields: [CSVTable.Field] = []
  private(set) var columnCount = 0
  private var position = 0
  private var line = 1
  private var lineStart = 0

  private static let quote = UInt8(ascii: "\"")
  private static let (newline, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))

  init(bytes: [UInt8], delimiter: UInt8, path: String, takesLooseQuotes: Bool = false) {
    self.takesLooseQuotes = takesLooseQuotes
    self.bytes = bytes
    self.delimiter = delimiter
    self.path = path
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    lineStart = position
  }

  mutating func run() throws {
    while position < bytes.count {
      let recordStart = fields.count
      let recordLine = line
      while try field() {}
      let width = fields.count - recordStart
      if width == 1, let only = fields.last, only.range.isEmpty, !only.isQuoted {
        fields.removeLast()
        continue
      }
      if columnCount == 0 { columnCount = width }
      guard width == columnCount else {
        throw ApusError(
          .data, operation: "\(path):\(recordLine)",
          "this record has \(width) fields, the first has \(columnCount); check delimiters and quotes"
        )
      }
    }
  }

  /// Reads one field and what ends it; true when another field of the record follows.
  private mutating func field() throws -> Bool {
    while position < bytes.count, isBlank(bytes[position]) { position += 1 }
    let (startLine, startColumn) = (line, position - lineStart + 1)
    if position < bytes.count, bytes[position] == CSVScanner.quote,
      !takesLooseQuotes || enclosesField(from: position)
    {
      let range = try quoted(startLine, startColumn)
      append(range, startLine, startColumn, isQuoted: true)
      while position < bytes.count, isBlank(bytes[position]) { position += 1 }
      guard position == bytes.count || isEnd(bytes[position]) else {
        throw ApusError(
          .data, operation: "\(path):\(line):\(position - lineStart + 1)",
          "text follows a closing quote; write a quote inside a quoted field twice")
      }
    } else {
      let start = position
      while position < bytes.count, !isEnd(bytes[position]) { position += 1 }
      var end = position
      while end > start, isBlank(bytes[end - 1]) { end -= 1 }
      append(start..<end, startLine, startColumn, isQuoted: false)
    }
    return endsField()
  }

  /// The contents between quotes; leaves `position` behind the closing one.
  private mutating func quoted(_ startLine: Int, _ startColumn: Int) throws -> Range<Int> {
    position += 1
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == CSVScanner.quote {
        if position + 1 < bytes.count, bytes[position + 1] == CSVScanner.quote {
          position += 2
          continue
        }
        position += 1
        return start..<position - 1
      }
      position += 1
      if byte == CSVScanner.newline { beginLine() }
    }
    throw ApusError(
      .data, operation: "\(path):\(startLine):\(startColumn)",
      "the quote opened here is never closed")
  }

  /// Whether the quote at `start` has a partner in its line that ends the field.
  private func enclosesField(from start: Int) -> Bool {
    var place = start + 1
    while place < bytes.count, bytes[place] != CSVScanner.newline {
      defer { place += 1 }
      guard bytes[place] == CSVScanner.quote else { continue }
      if place + 1 < bytes.count, bytes[place + 1] == CSVScanner.quote {
        place += 1
        continue
      }
      let rest = bytes[(place + 1)...].drop(while: isBlank)
      return rest.first.map(isEnd) ?? true
    }
    return false
  }

  private mutating func endsField() -> Bool {
    guard position < bytes.count else { return false }
    let byte = bytes[position]
    position += 1
    if byte == delimiter { return true }
    if byte == CSVScanner.carriageReturn, position < bytes.count,
      bytes[position] == CSVScanner.newline
    {
      position += 1
    }
    beginLine()
    return false
  }

  private mutating func beginLine() {
    line += 1
    lineStart = position
  }

  private mutating func append(_ range: Range<Int>, _ line: Int, _ column: Int, isQuoted: Bool) {
    fields.append(CSVTable.Field(range: range, line: line, column: column, isQuoted: isQuoted))
  }

  private func isBlank(_ byte: UInt8) -> Bool {
    (byte == 0x20 || byte == 0x09) && byte != delimiter
  }

  private func isEnd(_ byte: UInt8) -> Bool {
    byte == delimiter || byte == CSVScanner.newline || byte == CSVScanner.carriageReturn
  }
}

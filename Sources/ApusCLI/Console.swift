import Apus
import Foundation

/// What the program says to people. Results go to standard output, everything else to standard error.
enum Console {
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Writes a line of a result.
  /// - Throws: ``ApusError`` where nobody can take it, such as a full disk.
  static func print(_ text: String) throws { try write(text + "\n") }

  /// Writes part of a result as it is.
  static func write(_ text: String) throws {
    do {
      try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    } catch {
      throw ApusError(
        .file, operation: "standard output", "cannot be written: \(error.localizedDescription)")
    }
  }

  /// A remark; a run does not end because nobody can read it.
  static func note(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
  }

  /// Rewrites the current line of a terminal.
  static func redraw(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(("\r\u{1B}[K" + text).utf8))
  }

  static func percent(_ fraction: Double) -> String { String(format: "%.2f %%", fraction * 100) }

  /// Columns of equal width, the first to the left, the others to the right.
  static func table(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let line = row.enumerated().map { column, cell in
        let gap = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + gap : gap + cell
      }.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}

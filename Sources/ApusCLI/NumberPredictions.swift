import Apus
import Foundation

/// Predicted numbers, and how they are written.
struct NumberPredictions {
  /// What tells the rows apart: `index`, or the column of times.
  private let rowName: String
  private let rows: [String]
  private let targets: [String]
  /// Row-major `[rows, targets]`, as they are written.
  private let values: [String]

  /// The steps after the end of a series.
  init(_ regressor: Regressor, after series: TimeSeries) throws {
    let forecasting = regressor.forecasting
    rowName = series.timeColumn
    targets = forecasting?.targets ?? []
    // As far as single precision of the model goes, above a level that may be far from it.
    values = try regressor.forecast(after: series).map {
      "\(Double(String(format: "%.12g", $0)) ?? $0)"
    }
    rows = series.nextTimes(forecasting?.horizon ?? 0)
  }

  /// A row for each example.
  init(_ regressor: Regressor, _ examples: Dataset) throws {
    rowName = "index"
    values = try regressor.predictions(examples).map { "\($0)" }
    let width = regressor.scaling.mean.count
    rows = (0..<values.count / width).map { String($0) }
    targets = width == 1 ? ["prediction"] : (1...width).map { "prediction\($0)" }
  }

  func csv() -> String {
    let head = ([rowName] + targets).map(CSVField.quoted).joined(separator: ",")
    let lines = rows.enumerated().map { index, row in
      ([CSVField.quoted(row)]
        + targets.indices.map { values[index * targets.count + $0] }).joined(separator: ",")
    }
    return ([head] + lines).map { $0 + "\n" }.joined()
  }

  func json() throws -> String {
    struct Row: Encodable {
      let index: Int
      /// Of a forecast, the time.
      let row: String?
      /// Where one number is predicted for each row of a table.
      let prediction: Double?
      let values: [String: Double]
    }
    struct Document: Encodable {
      let targets: [String]
      let predictions: [Row]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let document = Document(
      targets: targets,
      predictions: rows.enumerated().map { index, row in
        let numbers = values[index * targets.count..<(index + 1) * targets.count].map {
          Double($0) ?? .nan
        }
        let isTable = rowName == "index"
        return Row(
          index: index, row: isTable ? nil : row,
          prediction: isTable && numbers.count == 1 ? numbers[0] : nil,
          values: Dictionary(zip(targets, numbers), uniquingKeysWith: { first, _ in first }))
      })
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }
}

/// A field of a table, quoted where it must be (RFC 4180).
enum CSVField {
  static func quoted(_ field: String) -> String {
    guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
  }
}

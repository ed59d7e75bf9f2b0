import Apus
import Foundation

extension Evaluate {
  /// Judges a model of numbers.
  func judge(_ regressor: Regressor) throws {
    if let forecasting = regressor.forecasting { return try judge(regressor, forecasting) }
    let found = try regressor.evaluate(try numbers(for: regressor))
    guard json else { return try Console.print(found.report.line) }
    struct Result: Encodable {
      let mae, rmse, mse, r2, loss: Double
      let count: Int
    }
    let report = found.report
    try print(
      Result(
        mae: report.meanAbsoluteError, rmse: report.rootMeanSquaredError,
        mse: report.meanSquaredError, r2: report.coefficientOfDetermination, loss: found.loss,
        count: report.count))
  }

  private func numbers(for regressor: Regressor) throws -> Dataset {
    var options = data.options(seed: 0, testFraction: 0, quiet: json)
    options.task = .regression
    if data.isTable, let schema = regressor.schema {
      let table = try schema.dataset(readingFrom: data.data, options: options)
      guard table.isRegression else {
        throw ApusError(
          .data, operation: data.data,
          "has no column '\(schema.targetName)'; evaluating needs the true numbers")
      }
      return table
    }
    let loaded = try DataSource.load(data.data, options: options)
    return split == .train ? loaded.train : loaded.test ?? loaded.train
  }

  private func judge(_ regressor: Regressor, _ forecasting: Forecasting) throws {
    let series = try TimeSeries(
      path: data.data, timeColumn: forecasting.timeColumn, columns: forecasting.columns,
      options: data.options(seed: 0, testFraction: 0, quiet: json))
    series.notes.forEach { Console.note($0) }
    let rows = try rows(of: series, forecasting)
    let windows = try ForecastWindows(
      series, forecasting, rows: rows, seesOnlyRows: false)
    let found = try regressor.evaluate(try windows.dataset())
    let report = try ForecastReport(windows, predictions: found.predictions, season: season)
    guard json else {
      return try Console.print(
        "\(rows.lowerBound > 0 ? "from \(series.times[rows.lowerBound]): " : "")\(report.text)")
    }
    struct Result: Encodable {
      let mae, rmse: Double
      let mase: Double?
      let loss: Double
      let count, horizon, season: Int
      let targets: [String]
      let naive: ForecastScores
      let seasonalNaive: ForecastScores?
    }
    try print(
      Result(
        mae: report.model.mae, rmse: report.model.rmse, mase: report.model.mase, loss: found.loss,
        count: report.count, horizon: report.horizon, season: report.season,
        targets: report.targets, naive: report.naive, seasonalNaive: report.seasonalNaive))
  }

  /// The part of a series that `--split` names; what training has not seen unless it says otherwise.
  private func rows(of series: TimeSeries, _ forecasting: Forecasting) throws -> Range<Int> {
    let seen = try series.seenCount(by: forecasting)
    func failure(_ message: String) -> ApusError {
      ApusError(.data, operation: data.data, message + "; --split all judges all rows")
    }
    switch split {
    case .all: return 0..<series.count
    case .train:
      guard seen > 0 else { throw failure("has no rows that training has seen") }
      return 0..<seen
    case .test, nil:
      guard seen < series.count else {
        throw failure(
          "training has seen the times of all \(series.count) rows, the last is "
            + "\(series.times[series.count - 1]), so nothing is left to judge it by")
      }
      guard series.count - seen >= forecasting.horizon else {
        throw failure(
          "training has not seen the last \(series.count - seen) rows, from \(series.times[seen]) on; "
            + "that is too short for forecasts of \(forecasting.horizon) steps")
      }
      return seen..<series.count
    }
  }

  func print(_ result: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try Console.print(String(decoding: try encoder.encode(result), as: UTF8.self))
  }
}

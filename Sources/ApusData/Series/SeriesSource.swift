import ApusDevice
import Foundation

/// What a user may choose of a time series.
public struct SeriesOptions: Sendable, Hashable {
  /// By name or number; found for nil.
  public var timeColumn: String?
  public var window = 96
  public var horizon = 24
  /// Columns that the model sees beside the targets; all columns of numbers for nil.
  public var inputs: [String]?
  /// Whether windows and forecasts are differences to the last value seen.
  public var isRelative = true
  /// Steps from one training window to the next.
  public var stride = 1
  public var season = 1

  public init() {}
}

extension DataSource {
  /// A table along time as windows with what follows each; parts in the order of time, none of them
  /// drawn at random.
  ///
  /// The last share of the rows is the test part, the last share of the others the validation part.
  /// Training windows see training rows alone, and means and deviations are theirs.
  public static func loadSeries(
    _ path: String, _ wanted: SeriesOptions, validationFraction: Double, options: DataOptions
  ) throws -> LoadedData {
    guard wanted.stride > 0, (0..<1).contains(options.testFraction),
      (0..<1).contains(validationFraction)
    else {
      throw ApusError(
        .value, operation: path,
        "the stride is \(wanted.stride), the parts are \(options.testFraction) and "
          + "\(validationFraction); the stride must be positive, the parts within 0..<1")
    }
    let (series, targets) = try read(path, wanted, options)
    let held = Int((Double(series.count) * options.testFraction).rounded())
    let seen = series.count - held
    let watched = Int((Double(seen) * validationFraction).rounded())
    let forecasting = try Forecasting(
      timeColumn: series.timeColumn, columns: series.columns,
      targets: targets, window: wanted.window, horizon: wanted.horizon, season: wanted.season,
      isRelative: wanted.isRelative, firstUnseen: held > 0 ? series.times[seen] : nil,
      lastSeen: seen > 0 ? series.times[seen - 1] : nil)
    func windows(_ rows: Range<Int>, seesOnlyRows: Bool, stride: Int = 1) throws -> ForecastWindows
    {
      try ForecastWindows(
        series, forecasting, rows: rows, seesOnlyRows: seesOnlyRows, stride: stride)
    }
    let train = try windows(0..<seen - watched, seesOnlyRows: true, stride: wanted.stride)
    let validation =
      watched > 0 ? try windows(seen - watched..<seen, seesOnlyRows: false) : nil
    let test = held > 0 ? try windows(seen..<series.count, seesOnlyRows: false) : nil
    var scale = Self.scale(series, rows: seen - watched)
    // Differences have no level to take away.
    if wanted.isRelative { scale.mean = scale.mean.map { _ in 0 } }
    let places = forecasting.targetPlaces
    return LoadedData(
      train: try train.dataset(), test: try test?.dataset(),
      validation: try validation?.dataset(),
      forecast: LoadedData.Forecast(
        forecasting: forecasting, test: test,
        preprocessing: .standardize(
          mean: repeated(scale.mean, forecasting.window),
          deviation: repeated(scale.deviation, forecasting.window)),
        scaling: try TargetScaling(
          mean: repeated(places.map { scale.mean[$0] }, forecasting.horizon),
          deviation: repeated(places.map { scale.deviation[$0] }, forecasting.horizon))),
      notes: series.notes)
  }

  /// The series as the model sees it, and its targets, which do not depend on the inputs.
  private static func read(
    _ path: String, _ wanted: SeriesOptions, _ options: DataOptions
  ) throws -> (series: TimeSeries, targets: [String]) {
    let all = try TimeSeries(path: path, timeColumn: wanted.timeColumn, options: options)
    let targets = try targets(options.target, all)
    guard let inputs = wanted.inputs else { return (all, targets) }
    let others = try columns(inputs, of: all).filter { !targets.contains($0) }
    let chosen = try TimeSeries(
      path: path, timeColumn: wanted.timeColumn, columns: targets + others, options: options)
    return (chosen, targets)
  }

  /// The columns that a list with commas names; the last column of numbers in the file for nil.
  private static func targets(_ names: String?, _ series: TimeSeries) throws -> [String] {
    guard let names else { return Array(series.columns.suffix(1)) }
    if series.columns.contains(names) { return [names] }
    return try columns(
      names.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }, of: series)
  }

  private static func columns(_ names: [String], of series: TimeSeries) throws -> [String] {
    if let name = names.first(where: { !series.columns.contains($0) }) {
      throw ApusError(
        .data, operation: series.path,
        "has no column of numbers '\(name)'; it has \(CSVTable.list(series.columns))")
    }
    return names
  }

  /// Mean and population deviation of each column over the first rows.
  private static func scale(_ series: TimeSeries, rows: Int) -> (mean: [Float], deviation: [Float])
  {
    let width = series.columns.count
    var (means, deviations) = ([Float](), [Float]())
    for column in 0..<width {
      func value(_ row: Int) -> Double { series.values[row * width + column] }
      let mean = (0..<rows).reduce(0.0) { $0 + value($1) } / Double(max(rows, 1))
      let square = (0..<rows).reduce(0.0) { $0 + (value($1) - mean) * (value($1) - mean) }
      let deviation = (square / Double(max(rows, 1))).squareRoot()
      means.append(Float(mean))
      // What rounding leaves of a constant column is not a spread.
      deviations.append(
        deviation > 10 * Double.ulpOfOne * mean.magnitude
          ? max(Float(deviation), .leastNormalMagnitude) : 1)
    }
    return (means, deviations)
  }

  private static func repeated(_ values: [Float], _ count: Int) -> [Float] {
    (0..<count).flatMap { _ in values }
  }
}

import ApusDevice

/// What is forecast from what: kept in the model file, so that a series at prediction time is cut alike.
public struct Forecasting: Codable, Sendable, Hashable {
  public var timeColumn: String
  /// The columns that the model sees, in this order.
  public var columns: [String]
  /// Those of them that are forecast.
  public var targets: [String]
  /// Steps that the model sees.
  public var window: Int
  /// Steps that it forecasts.
  public var horizon: Int
  /// Steps of a season, for the seasonal naive forecast and the unit of the scaled error; 1 for none.
  public var season: Int
  /// Whether windows and what follows them are differences to the last row of the window, so that the
  /// level of the series, which drifts, does not matter (NLinear of Zeng et al. 2023).
  public var isRelative: Bool
  /// The time of the first step that neither training nor validation has seen; nil where all was used.
  public var firstUnseen: String?
  /// The time of the last step that training or validation has seen; nil in older files.
  public var lastSeen: String?

  public init(
    timeColumn: String, columns: [String], targets: [String], window: Int, horizon: Int,
    season: Int = 1, isRelative: Bool = true, firstUnseen: String? = nil, lastSeen: String? = nil
  ) throws {
    self.timeColumn = timeColumn
    self.columns = columns
    self.targets = targets
    self.window = window
    self.horizon = horizon
    self.season = season
    self.isRelative = isRelative
    self.firstUnseen = firstUnseen
    self.lastSeen = lastSeen
    try validate()
  }

  /// The most steps of a window or a horizon.
  public static let stepLimit = 1 << 16
  /// The most steps of a season.
  public static let seasonLimit = 1 << 20

  /// - Throws: ``ApusError`` where lengths are not positive or too great, or a target is no column.
  public func validate() throws {
    func require(_ isFine: Bool, _ rule: String) throws {
      if !isFine { throw ApusError(.value, operation: "forecast", rule) }
    }
    try require(
      [window, horizon].allSatisfy { (1...Self.stepLimit).contains($0) },
      "a window of \(window) and a horizon of \(horizon) steps must be positive and sensible")
    try require(
      (1...Self.seasonLimit).contains(season),
      "a season of \(season) steps must be positive and sensible")
    try require(
      !targets.isEmpty && Set(targets).count == targets.count
        && targets.allSatisfy(columns.contains),
      "the targets \(targets) must be different columns of the series; it has \(columns)")
  }

  /// Places of the targets among the columns.
  package var targetPlaces: [Int] { targets.compactMap { columns.firstIndex(of: $0) } }
  /// As of one example: `[window, columns]`.
  public var inputShape: [Int] { [window, columns.count] }
  /// `[horizon, targets]`.
  public var targetShape: [Int] { [horizon, targets.count] }

  /// The end of a series that is long enough, as one example without targets.
  package func lastWindow(of series: TimeSeries) throws -> Dataset {
    try Dataset(
      series.path,
      .slices(
        series.values, starts: [(series.count - window) * columns.count],
        relativeTo: isRelative ? columns.count : nil), inputShape, [], [], nil, nil)
  }
}

/// Windows of a series with what follows each, and simple forecasts to compare with.
public struct ForecastWindows: Sendable {
  public let series: TimeSeries
  public let forecasting: Forecasting
  /// The row of the first forecast step of each window; the window ends before it.
  public let origins: [Int]

  /// The windows whose forecast steps all lie in a part of the series. What the model sees may reach back
  /// before the part: it is the past by then.
  /// - Parameters:
  ///   - rows: The part.
  ///   - seesOnlyRows: Whether what the model sees must lie in the part too.
  ///   - stride: Steps from one window to the next.
  /// - Throws: ``ApusError`` where there is no such window.
  public init(
    _ series: TimeSeries, _ forecasting: Forecasting, rows: Range<Int>, seesOnlyRows: Bool,
    stride step: Int = 1
  ) throws {
    try forecasting.validate()
    guard forecasting.columns == series.columns, step > 0 else {
      throw ApusError(
        .data, operation: series.path,
        "has columns \(series.columns), the forecast takes \(forecasting.columns)")
    }
    let rows = rows.clamped(to: 0..<series.count)
    let first = max(
      forecasting.window, rows.lowerBound + (seesOnlyRows ? forecasting.window : 0))
    let last = rows.upperBound - forecasting.horizon
    origins = first <= last ? Array(stride(from: first, through: last, by: step)) : []
    guard !origins.isEmpty else {
      throw ApusError(
        .data, operation: series.path,
        "a part of \(rows.count) rows is too short for windows of \(forecasting.window) and "
          + "\(forecasting.horizon) steps; shorten them (--window, --horizon) or give a longer series"
      )
    }
    self.series = series
    self.forecasting = forecasting
  }

  /// Examples `[window, columns]` with targets `[horizon, targets]`, in the units of the series, where
  /// they are relative as differences to the last row of the window.
  public func dataset() throws -> Dataset {
    let width = series.columns.count
    let starts = origins.map { ($0 - forecasting.window) * width }
    var wanted = truths
    if forecasting.isRelative {
      for (index, level) in levels.enumerated() { wanted[index] -= level }
    }
    return try Dataset(
      series.path,
      .slices(series.values, starts: starts, relativeTo: forecasting.isRelative ? width : nil),
      forecasting.inputShape, [], [], nil, wanted.map { Float($0) }, forecasting.targetShape
    ).with(exactTargets: wanted)
  }

  /// What follows the windows, `[windows, horizon, targets]`, in the units of the series.
  public var truths: [Double] { targets { origin, step in origin + step } }

  /// The last value before each of them.
  private var levels: [Double] { targets { origin, _ in origin - 1 } }

  /// What a model of ``dataset()`` gives, as values of the series.
  public func restored(_ predictions: [Double]) -> [Double] {
    forecasting.isRelative ? zip(predictions, levels).map { $0 + $1 } : predictions
  }

  /// The targets at the rows that a rule names, `[windows, horizon, targets]`.
  private func targets(_ row: (_ origin: Int, _ step: Int) -> Int) -> [Double] {
    let (width, places) = (series.columns.count, forecasting.targetPlaces)
    var all: [Double] = []
    all.reserveCapacity(origins.count * forecasting.horizon * places.count)
    for origin in origins {
      for step in 0..<forecasting.horizon {
        let start = row(origin, step) * width
        for place in places { all.append(series.values[start + place]) }
      }
    }
    return all
  }

  /// The last season again and again, `[windows, horizon, targets]`; the last value for a season of 1.
  /// nil where a window has no whole season before its forecast.
  public func naive(season: Int = 1) -> [Double]? {
    guard season > 0, origins.allSatisfy({ $0 >= season }) else { return nil }
    return targets { origin, step in origin + step % season - season }
  }

  /// The mean absolute error of the naive forecast of one step over the rows before the first forecast:
  /// the unit of the scaled error (Hyndman and Koehler 2006), one for each target. nil where these rows
  /// hold no two seasons, or the series does not move.
  public func unit(season: Int) -> [Double]? {
    guard let end = origins.first, season > 0, end > season else { return nil }
    let width = series.columns.count
    let units = forecasting.targetPlaces.map { place in
      (season..<end).reduce(0.0) { sum, row in
        let change =
          series.values[row * width + place] - series.values[(row - season) * width + place]
        return sum + change.magnitude
      } / Double(end - season)
    }
    return units.allSatisfy { $0 > 0 } ? units : nil
  }
}

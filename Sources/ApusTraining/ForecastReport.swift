import ApusData
import ApusDevice
import ApusMetrics

/// How forecasts compare with what was to come, and with forecasts that need no model.
public struct ForecastReport: Codable, Sendable, Hashable {
  /// Windows that were forecast.
  public let count: Int
  public let horizon: Int
  public let targets: [String]
  public let season: Int
  public let model: ForecastScores
  /// The last value again and again.
  public let naive: ForecastScores
  /// The last season again and again; nil where windows have no whole season before them.
  public let seasonalNaive: ForecastScores?

  /// - Parameters:
  ///   - predictions: Of a model for the examples that the windows make, `[windows, horizon, targets]`.
  ///   - season: Of the seasonal naive forecast and of the unit of scaled errors; that of the windows
  ///     for nil.
  public init(_ windows: ForecastWindows, predictions: [Double], season: Int? = nil) throws {
    let forecasting = windows.forecasting
    let season = season ?? forecasting.season
    let truths = windows.truths
    let unit = windows.unit(season: season)
    func scores(_ forecast: [Double]) throws -> ForecastScores {
      try ForecastScores(
        predictions: forecast, truths: truths, unit: unit, targetCount: forecasting.targets.count)
    }
    count = windows.origins.count
    horizon = forecasting.horizon
    targets = forecasting.targets
    self.season = season
    model = try scores(windows.restored(predictions))
    naive = try scores(windows.naive() ?? [])
    seasonalNaive = try windows.naive(season: season).map(scores)
  }

  /// As a log tells them.
  public var figures: [String: Double] {
    var all: [String: Double] = [:]
    func add(_ scores: ForecastScores, _ name: (String) -> String) {
      all[name("mae")] = scores.mae
      all[name("rmse")] = scores.rmse
      all[name("mase")] = scores.mase
    }
    add(model) { $0 }
    add(naive) { "naive" + $0.uppercased() }
    if let seasonalNaive { add(seasonalNaive) { "seasonalNaive" + $0.uppercased() } }
    return all
  }
}

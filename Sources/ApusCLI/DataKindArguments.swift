import Apus
import ArgumentParser

extension AudioFeatures.Kind: ExpressibleByArgument {}
extension RegressionLoss: ExpressibleByArgument {}

/// How recordings become features; kept in the model file.
struct AudioArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Features of recordings: log-mel, decibels by pitch and time, or mfcc, their cepstrum.",
      discussion: """
        Default: log-mel.
        Recordings are .wav files in a folder per class, or all in one folder
        named CLASS_SPEAKER_INDEX.wav; of these, index 0 to 4 is the test part.
        """))
  var features: AudioFeatures.Kind?

  @Option(help: "Bands of pitch. Default: 40.")
  var mels: Int?

  @Option(help: "Coefficients of mfcc, at most --mels. Default: 20, or as many as there are bands.")
  var coefficients: Int?

  @Option(
    help: "What is heard of a recording: longer ones are cut, shorter ones filled up. Default: 1.")
  var seconds: Double?

  @Option(help: "Samples per second to which recordings are brought. Default: those of the first.")
  var sampleRate: Int?

  func check() throws {
    func require(_ isFine: Bool, _ message: String) throws {
      if !isFine { throw ValidationError(message) }
    }
    let bands = mels ?? AudioOptions().melCount
    try require(bands >= 1, "--mels is \(bands); the number of bands must be positive")
    if let coefficients {
      try require(
        (1...bands).contains(coefficients),
        "--coefficients is \(coefficients); it must be within 1...\(bands), the bands of --mels")
    }
    if let sampleRate {
      try require(
        (1...AudioClip.rateLimit).contains(sampleRate),
        "the sample rate is \(sampleRate); --sample-rate must be within 1...\(AudioClip.rateLimit)")
    }
    if let seconds {
      try require(
        seconds > 0 && seconds.isFinite, "--seconds is \(seconds); it must be positive and finite")
      try require(
        seconds * Double(sampleRate ?? 1) <= Double(AudioFeatures.sampleLimit),
        "--seconds \(seconds) is too long; at most \(AudioFeatures.sampleLimit) samples of a recording "
          + "can be heard")
    }
  }

  /// Notes what was given of options that only recordings have.
  func note(in given: inout GivenOptions) {
    given.add(
      .recordings,
      [
        "--features": features != nil, "--mels": mels != nil,
        "--coefficients": coefficients != nil, "--seconds": seconds != nil,
        "--sample-rate": sampleRate != nil,
      ])
  }

  func set(_ options: inout AudioOptions) {
    options.kind = features ?? options.kind
    options.melCount = mels ?? options.melCount
    options.coefficientCount = coefficients
    options.seconds = seconds ?? options.seconds
    options.sampleRate = sampleRate
  }
}

/// How a table along time is cut into windows.
struct SeriesArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Steps of a time series that the model sees. Default: 96.",
      discussion: """
        A table is a time series where one of these options is given, or
        --model is forecast-gru. The columns of --target (with commas) are
        forecast. Parts follow in time: --test-fraction is the end,
        --validation the end of what is before.
        """))
  var window: Int?

  @Option(help: "Steps that it forecasts. Default: 24.")
  var horizon: Int?

  @Option(help: "Columns that the model sees, with commas. Default: all columns of numbers.")
  var inputs: String?

  @Flag(
    inversion: .prefixedNo,
    help: "Whether windows and forecasts are differences to the last value seen. Default: so.")
  var relative: Bool?

  @Option(help: "Steps from one training window to the next. Default: 1.")
  var stride: Int?

  @Option(help: "The column of times, by name or number. Default: the first that holds dates.")
  var timeColumn: String?

  @Option(help: "Steps of a season, for the seasonal naive forecast to compare with.")
  var season: Int?

  func check() throws {
    let limit = Forecasting.stepLimit
    for (name, number, limit) in [
      ("window", window, limit), ("horizon", horizon, limit), ("stride", stride, Int.max),
      ("season", season, Forecasting.seasonLimit),
    ] {
      guard let number, !(1...limit).contains(number) else { continue }
      throw ValidationError(
        "--\(name) is \(number); it must be positive"
          + (number > 0 ? " and at most \(limit)" : ""))
    }
  }

  /// Notes what was given of options that only time series have.
  func note(in given: inout GivenOptions) {
    given.add(
      .series,
      [
        "--window": window != nil, "--horizon": horizon != nil, "--inputs": inputs != nil,
        "--relative": relative == true, "--no-relative": relative == false,
        "--stride": stride != nil, "--time-column": timeColumn != nil, "--season": season != nil,
      ])
  }

  /// nil where nothing says that the data is a time series.
  func options(model: String) -> SeriesOptions? {
    var given = GivenOptions()
    note(in: &given)
    guard !given.isEmpty || model == "forecast-gru" else { return nil }
    var options = SeriesOptions()
    options.timeColumn = timeColumn
    options.window = window ?? options.window
    options.horizon = horizon ?? options.horizon
    options.inputs = inputs.map { list in
      list.split(separator: ",").map { String($0.trimmingPrefix(" ")) }
    }
    options.isRelative = relative ?? options.isRelative
    options.stride = stride ?? options.stride
    options.season = season ?? options.season
    return options
  }
}

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
        Recordings are .wav files in a folder per class, or all in one folder
        named CLASS_SPEAKER_INDEX.wav; of these, index 0 to 4 is the test part.
        """))
  var features = AudioFeatures.Kind.logMel

  @Option(help: "Bands of pitch.")
  var mels = 40

  @Option(help: "Coefficients of mfcc.")
  var coefficients = 20

  @Option(help: "What is heard of a recording: longer ones are cut, shorter ones filled up.")
  var seconds = 1.0

  @Option(help: "Samples per second to which recordings are brought. Default: those of the first.")
  var sampleRate: Int?

  func set(_ options: inout AudioOptions) {
    options.kind = features
    options.melCount = mels
    options.coefficientCount = coefficients
    options.seconds = seconds
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
    help: "Whether windows and forecasts are differences to the last value seen.")
  var relative = true

  @Option(help: "Steps from one training window to the next. Default: 1.")
  var stride: Int?

  @Option(help: "The column of times, by name or number. Default: the first that holds dates.")
  var timeColumn: String?

  @Option(help: "Steps of a season, for the seasonal naive forecast to compare with.")
  var season: Int?

  /// nil where nothing says that the data is a time series.
  func options(model: String) -> SeriesOptions? {
    guard
      window != nil || horizon != nil || stride != nil || timeColumn != nil || season != nil
        || inputs != nil
        || model == "forecast-gru"
    else { return nil }
    var options = SeriesOptions()
    options.timeColumn = timeColumn
    options.window = window ?? options.window
    options.horizon = horizon ?? options.horizon
    options.inputs = inputs.map { list in
      list.split(separator: ",").map { String($0.trimmingPrefix(" ")) }
    }
    options.isRelative = relative
    options.stride = stride ?? options.stride
    options.season = season ?? options.season
    return options
  }
}

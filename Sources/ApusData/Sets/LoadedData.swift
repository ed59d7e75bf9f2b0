/// What a source gave.
public struct LoadedData: Sendable {
  /// What belongs to windows of a time series.
  public struct Forecast: Sendable {
    public let forecasting: Forecasting
    /// The windows of the test part.
    public let test: ForecastWindows?
    /// Fitted on the training rows, each counted once.
    public let preprocessing: Preprocessing
    public let scaling: TargetScaling
  }

  public let train: Dataset
  /// The held-out part; nil where none was asked for.
  public let test: Dataset?
  /// The part to watch while training, where the source has one beside the test part.
  public let validation: Dataset?
  /// For tables: how columns became features.
  public let schema: TableSchema?
  /// For tables of texts: which columns are text and class.
  public let textSchema: TextSchema?
  /// What suits the data unless the user chooses.
  public let defaultPreprocessing: Preprocessing.Kind
  /// For images whose size is a matter of choice: what others are to be scaled to.
  public let imageSize: ImageSize?
  /// For recordings: how they became features.
  public let audio: AudioFeatures?
  /// For time series: what is forecast from what.
  public let forecast: Forecast?
  /// What the user should know of how the data was read.
  public let notes: [String]

  public init(
    train: Dataset, test: Dataset?, validation: Dataset? = nil, schema: TableSchema? = nil,
    textSchema: TextSchema? = nil, defaultPreprocessing: Preprocessing.Kind = .none,
    imageSize: ImageSize? = nil, audio: AudioFeatures? = nil, forecast: Forecast? = nil,
    notes: [String] = []
  ) {
    self.train = train
    self.test = test
    self.validation = validation
    self.schema = schema
    self.textSchema = textSchema
    self.defaultPreprocessing = defaultPreprocessing
    self.imageSize = imageSize
    self.audio = audio
    self.forecast = forecast
    self.notes = notes
  }
}

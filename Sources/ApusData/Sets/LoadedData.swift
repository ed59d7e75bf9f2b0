/// What a source gave.
public struct LoadedData: Sendable {
  public let train: Dataset
  /// The held-out part; nil where none was asked for.
  public let test: Dataset?
  /// For tables: how columns became features.
  public let schema: TableSchema?
  /// What suits the data unless the user chooses.
  public let defaultPreprocessing: Preprocessing.Kind

  public init(
    train: Dataset, test: Dataset?, schema: TableSchema? = nil,
    defaultPreprocessing: Preprocessing.Kind = .none
  ) {
    self.train = train
    self.test = test
    self.schema = schema
    self.defaultPreprocessing = defaultPreprocessing
  }
}

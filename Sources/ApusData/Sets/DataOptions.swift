/// How data is found and read.
public struct DataOptions: Sendable {
  public enum Task: String, Sendable, Hashable, CaseIterable { case classification, regression }

  /// A folder to look for named data sets in, before `$APUS_DATA_DIR` and the cache.
  public var dataDirectory: String?
  /// The target column of a table: its name, or its number counted from 1 (−1 is the last). Default:
  /// the last.
  public var target: String?
  /// The column of a table that holds the text: its name or number. Default: the one with the longest
  /// fields.
  public var textColumn: String?
  /// How the bytes of texts stand for characters.
  public var textEncoding = TextFile.Encoding.utf8
  /// Whether the first record of a table holds names; nil decides by the contents.
  public var hasHeader: Bool?
  /// Columns (names or numbers) whose numbers are categories too; text columns always are.
  public var categoricalColumns: [String] = []
  /// Default: by the name's ending and the first line.
  public var delimiter: Character?
  /// What a table's target means; nil decides by the contents.
  public var task: Task?
  /// The share of a user's own table that becomes the test part; 0 for none.
  public var testFraction = 0.2
  /// Draws the test part of a user's own table. Data sets known by name have a fixed test part.
  public var seed: UInt64 = 0
  /// The size to which images are scaled; nil keeps a common size of them.
  public var imageSize: ImageSize?
  /// 1 to read images as gray, 3 as RGB; nil for gray only where all are.
  public var imageChannels: Int?
  /// Photos that take more bytes than this once decoded are decoded when they are used.
  package var decodedLimit = 1 << 30
  public var audio = AudioOptions()
  public var allowDownload = true
  /// Where downloads are kept; default `$XDG_CACHE_HOME/apus`, else `~/.cache/apus`.
  public var cacheDirectory: String?
  /// Called with a file's name, the bytes so far and the bytes in all (nil where unknown).
  public var progress: (@Sendable (_ file: String, _ received: Int, _ total: Int?) -> Void)?

  public init() {}

  public init(
    dataDirectory: String? = nil, target: String? = nil, hasHeader: Bool? = nil,
    categoricalColumns: [String] = [], delimiter: Character? = nil, task: Task? = nil,
    testFraction: Double = 0.2, seed: UInt64 = 0, allowDownload: Bool = true,
    cacheDirectory: String? = nil
  ) {
    self.dataDirectory = dataDirectory
    self.target = target
    self.hasHeader = hasHeader
    self.categoricalColumns = categoricalColumns
    self.delimiter = delimiter
    self.task = task
    self.testFraction = testFraction
    self.seed = seed
    self.allowDownload = allowDownload
    self.cacheDirectory = cacheDirectory
  }
}

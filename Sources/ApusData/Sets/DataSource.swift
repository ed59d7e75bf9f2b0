import ApusDevice

/// Resolves what a user calls the data: a built-in name or a path.
public struct DataSource {
  /// `digits` and `iris` are part of the program; the others are looked for or downloaded.
  public static var builtInNames: [String] {
    ["digits", "iris"] + NamedImageSet.all.map(\.name) + [CIFARSet.name]
  }

  /// Sources and licences of the embedded data, Markdown.
  public static var attribution: String {
    String(decoding: PackageResources.ATTRIBUTION_md, as: UTF8.self)
  }

  /// Loads a built-in name, or a path: `.csv`, `.tsv`, `.txt`, `.data` (each also with `.gz`), `.npz`,
  /// or a folder: of IDX files, of CIFAR batches, of images by class, or of recordings.
  ///
  /// Built-in sets come with their fixed test part, whatever the seed; a file is split by
  /// `options.testFraction` and `options.seed`, unless it brings a test part itself. Throws `.file` or
  /// `.data` saying what is wrong where.
  public static func load(
    _ name: String, options: DataOptions = DataOptions()
  ) throws -> LoadedData {
    switch name {
    case "digits": return try EmbeddedSets.digits()
    case "iris": return try EmbeddedSets.iris()
    default: break
    }
    if let known = NamedImageSet.all.first(where: {
      $0.name == name || $0.folders.contains(name) && !FileContents.exists(name)
    }) {
      return try known.load(options)
    }
    if name == CIFARSet.name { return try CIFARSet.load(options) }
    if FileContents.isFolder(name) { return try loadFolder(name, options) }
    guard FileContents.exists(name) else {
      throw ApusError(
        .file, operation: name,
        "is neither a file nor a folder nor one of \(builtInNames.joined(separator: ", "))")
    }
    return try loadFile(name, options)
  }

  private static func loadFolder(_ path: String, _ options: DataOptions) throws -> LoadedData {
    let folder = ImageFolder(path: path)
    if folder.isComplete { return try folder.load(name: path, classNames: nil) }
    if let cifar = try CIFARFolder(path: path) { return try cifar.load(name: path, options) }
    if let audio = try AudioFolder(path: path) { return try audio.load(name: path, options) }
    if let classes = try ClassFolder(path: path) { return try classes.load(name: path, options) }
    throw ApusError(
      .file, operation: path,
      "a folder must hold IDX files (it lacks \(folder.missing.joined(separator: ", ")), packed as "
        + ".gz or not), CIFAR batches (data_batch_1.bin, …), images by class "
        + "(CLASS/*.jpg or train/CLASS/*.png), or recordings (CLASS/*.wav or CLASS_SPEAKER_INDEX.wav)"
    )
  }

  private static func loadFile(_ path: String, _ options: DataOptions) throws -> LoadedData {
    let plain = path.lowercased().hasSuffix(".gz") ? String(path.dropLast(3)) : path
    switch plain.split(separator: ".").last?.lowercased() {
    case "csv", "tsv", "txt", "data", "tab":
      let table = try CSVTable(
        path: path, delimiter: options.delimiter, hasHeader: options.hasHeader)
      let schema = try TableSchema(inferringFrom: table, options: options)
      return try parts(
        try schema.dataset(table, name: path), .standardize, options, schema: schema)
    case "npz": return try loadArrays(path, options)
    default:
      throw ApusError(
        .file, operation: path,
        "is of no known kind; give a .csv, .tsv or .npz file, or a folder of images or IDX files")
    }
  }

  static func parts(
    _ all: Dataset, _ preprocessing: Preprocessing.Kind,
    _ options: DataOptions, schema: TableSchema? = nil
  ) throws -> LoadedData {
    guard options.testFraction != 0 else {
      return LoadedData(
        train: all, test: nil, schema: schema, defaultPreprocessing: preprocessing)
    }
    let (train, test) = try all.split(
      fraction: options.testFraction, key: RandomKey(options.seed).folded(0x7465_7374))
    return LoadedData(
      train: train, test: test, schema: schema, defaultPreprocessing: preprocessing)
  }
}

import ApusDevice

extension DataSource {
  /// Loads texts with classes: a table (`.csv`, `.tsv`, also packed), a folder or a tar archive of texts
  /// by class. A file is split by `options.testFraction` and `options.seed`, unless it brings a test part
  /// itself.
  /// - Throws: ``ApusError`` saying what is wrong where.
  public static func loadTexts(
    _ path: String, options: DataOptions = DataOptions()
  ) throws -> LoadedData {
    let plain = path.lowercased()
    if FileContents.isFolder(path) || plain.hasSuffix(".tar") || plain.hasSuffix(".tar.gz")
      || plain.hasSuffix(".tgz")
    {
      return try TextFolder(path: path).load(options)
    }
    guard FileContents.exists(path) else {
      throw ApusError(
        .file, operation: path,
        "is neither a table nor a folder of texts; give a .csv or .tsv file or a folder with a folder "
          + "per class")
    }
    let table = try CSVTable(
      text: try TextFile.read(path, encoding: options.textEncoding), path: path,
      delimiter: options.delimiter, hasHeader: options.hasHeader)
    let schema = try TextSchema(inferringFrom: table, options: options)
    let all = try schema.dataset(table, name: path)
    guard all.classCount > 1, all.classCount <= TableSchema.categoryLimit else {
      throw ApusError(
        .data, operation: path,
        "column '\(schema.targetName)' has \(all.classCount) classes; there must be 2 to "
          + "\(TableSchema.categoryLimit). Name the column of the classes with --target")
    }
    let parts = try DataSource.parts(all, .none, options)
    return LoadedData(
      train: parts.train, test: parts.test, textSchema: schema,
      notes: [
        "text from column '\(schema.textName)', classes from column '\(schema.targetName)'"
      ])
  }

  /// Reads texts without their classes: a table (`.csv`, `.tsv`, also packed), else plain text, a line
  /// for each example.
  /// - Parameters:
  ///   - schema: Says which column of a table is the text; nil for the one that the options name, or the
  ///     one with the longest fields.
  ///   - classNames: Those of the model that is to tell the classes.
  /// - Throws: ``ApusError`` saying what is wrong where, and for a file without texts.
  public static func unlabelledTexts(
    _ path: String, schema: TextSchema?, classNames: [String], options: DataOptions = DataOptions()
  ) throws -> Dataset {
    let isTable =
      ["csv", "tsv", "tab"].contains { path.lowercased().hasSuffix("." + $0) }
      || ["csv.gz", "tsv.gz", "tab.gz"].contains { path.lowercased().hasSuffix("." + $0) }
    if isTable, let schema, options.textColumn == nil {
      return try schema.dataset(
        readingFrom: path, options: options, classNames: classNames, withTarget: false)
    }
    let text = try TextFile.read(path, encoding: schema?.encoding ?? options.textEncoding)
    if isTable {
      let table = try CSVTable(
        text: text, path: path, delimiter: options.delimiter, hasHeader: options.hasHeader)
      let column =
        try options.textColumn.map { try table.column(named: $0) }
        ?? TextSchema.longestColumn(of: table)
      return try Dataset(
        name: path, texts: try (0..<table.rowCount).map { try table.text($0, column) },
        classNames: classNames)
    }
    return try lines(of: text, name: path, classNames: classNames)
  }

  /// Each line of a text as an example; the last line may lack its end.
  /// - Throws: ``ApusError`` where there is none.
  public static func lines(
    of text: String, name: String, classNames: [String]
  ) throws -> Dataset {
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .map(String.init)
    if lines.last == "" { lines.removeLast() }
    guard !lines.isEmpty else {
      throw ApusError(.data, operation: name, "holds no texts; a line each is needed")
    }
    return try Dataset(name: name, texts: lines, classNames: classNames)
  }
}

import ApusDevice

/// The small data sets that are part of the program; see `Embedded/ATTRIBUTION.md`.
enum EmbeddedSets {
  /// The seed of their fixed test part.
  private static let splitKey = RandomKey(0x6469_6769_7473)

  /// 1 797 digits `[1, 8, 8]` of 0–16; 359 of them are the test part.
  static func digits() throws -> LoadedData {
    let name = "digits"
    let bytes = try Zlib.gunzip(PackageResources.digits_idx_gz, name: name)
    let table = try IDX.decode(bytes, name: name)
    let width = 65
    var pixels: [Float] = []
    var labels: [Int32] = []
    for start in stride(from: 0, to: table.bytes.count - width + 1, by: width) {
      pixels.append(contentsOf: table.bytes[start..<start + width - 1].lazy.map { Float($0) })
      labels.append(Int32(table.bytes[start + width - 1]))
    }
    let all = try Dataset(
      name: name, features: pixels, featureShape: [1, 8, 8], labels: labels,
      classNames: (0..<10).map { String($0) })
    return try parts(all, nil, .scale(by: 1 / 16))
  }

  /// 150 flowers of four lengths; 30 of them are the test part.
  static func iris() throws -> LoadedData {
    let table = try CSVTable(bytes: PackageResources.iris_csv, path: "iris", hasHeader: true)
    let schema = try TableSchema(inferringFrom: table, options: DataOptions())
    return try parts(try schema.dataset(table, name: "iris"), schema, .standardize)
  }

  private static func parts(
    _ all: Dataset, _ schema: TableSchema?, _ preprocessing: Preprocessing.Kind
  ) throws -> LoadedData {
    let (train, test) = try all.split(fraction: 0.2, key: splitKey)
    return LoadedData(
      train: train, test: test, schema: schema, defaultPreprocessing: preprocessing)
  }
}

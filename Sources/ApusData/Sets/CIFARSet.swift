import ApusDevice
import Foundation

/// CIFAR-10 by name: looked for on this machine, else fetched.
enum CIFARSet {
  static let name = "cifar10"
  static let archive = "cifar-10-binary.tar.gz"
  /// MD5 of the archive, as published.
  static let checksum = "c32a1d4ab5d03f1284b67883e8d87530"
  static let source = "https://www.cs.toronto.edu/~kriz/"
  private static let folders = ["cifar10", "cifar-10", "cifar-10-batches-bin"]

  /// Looks in `options.dataDirectory`, `$APUS_DATA_DIR` and the cache; else downloads.
  static func load(_ options: DataOptions) throws -> LoadedData {
    let places = NamedImageSet.places(options)
    for place in places {
      for folder in folders.map({ place + "/" + $0 }) + [place] {
        if let found = try CIFARFolder(path: folder), found.kind == .cifar10 {
          return try found.load(name: name, options)
        }
        let packed = folder + "/" + archive
        if FileContents.exists(packed) {
          return try CIFARFolder(archive: packed).load(name: name, options)
        }
      }
    }
    guard options.allowDownload else { throw absent(places, "downloads are switched off") }
    let folder = NamedImageSet.cacheDirectory(options) + "/" + folders[0]
    do {
      try NamedImageSet.withFolder(folder) {
        // Another process may have fetched it meanwhile.
        guard !FileContents.exists(folder + "/" + archive) else { return }
        try Downloader(progress: options.progress).fetch(
          archive, from: [source], to: folder + "/" + archive, md5: checksum)
      }
    } catch let error as ApusError {
      throw absent(places, error.description)
    }
    return try CIFARFolder(archive: folder + "/" + archive).load(name: name, options)
  }

  private static func absent(_ places: [String], _ reason: String) -> ApusError {
    ApusError(
      .file, operation: name,
      "is not on this machine and cannot be downloaded (\(reason)). Put data_batch_1.bin to "
        + "data_batch_5.bin and test_batch.bin (packed as .gz or not), or \(archive), into "
        + "\(places.map { "\($0)/\(folders[0])" }.joined(separator: " or ")), or give their folder "
        + "with --data-dir or $APUS_DATA_DIR. Source: \(source)\(archive)")
  }
}

import ApusDevice
import Foundation

/// A published data set of the MNIST family, found on this machine or fetched.
package struct NamedImageSet: Sendable {
  let name: String
  /// Sub-folders it may lie in.
  let folders: [String]
  let classNames: [String]
  /// MD5 of the packed files, in the order of `ImageFolder.files`, as published.
  package let checksums: [String]
  /// Base addresses, tried in turn.
  let mirrors: [String]

  package init(
    name: String, folders: [String], classNames: [String], checksums: [String], mirrors: [String]
  ) {
    self.name = name
    self.folders = folders
    self.classNames = classNames
    self.checksums = checksums
    self.mirrors = mirrors
  }

  static let all = [fashionMNIST, mnist]

  /// Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747. MIT licence.
  static let fashionMNIST = NamedImageSet(
    name: "fashion-mnist", folders: ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"],
    classNames: [
      "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
      "Ankle boot",
    ],
    checksums: [
      "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
      "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
    ],
    mirrors: [
      "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
      "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ])

  /// LeCun, Cortes, Burges 1998.
  static let mnist = NamedImageSet(
    name: "mnist", folders: ["mnist", "MNIST/raw"], classNames: (0..<10).map { String($0) },
    checksums: [
      "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
      "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c",
    ],
    mirrors: [
      "https://ossci-datasets.s3.amazonaws.com/mnist/",
      "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ])

  /// Looks in `options.dataDirectory`, `$APUS_DATA_DIR` and the cache; else downloads.
  package func load(_ options: DataOptions) throws -> LoadedData {
    let cache = NamedImageSet.cacheDirectory(options)
    let places = NamedImageSet.places(options)
    for place in places {
      for folder in folders.map({ place + "/" + $0 }) + [place] {
        let folder = ImageFolder(path: folder)
        guard folder.isComplete else { continue }
        if folder.path == place { try requireNotAnother(folder) }
        return try folder.load(name: name, classNames: classNames)
      }
    }
    guard options.allowDownload else {
      throw absent(places, reason: "downloads are switched off")
    }
    let folder = ImageFolder(path: cache + "/" + folders[0])
    do {
      try download(to: folder, options: options)
    } catch let error as ApusError {
      throw absent(places, reason: error.description)
    }
    return try folder.load(name: name, classNames: classNames)
  }

  /// The sets share their file names: a folder without a telling name is checked by content.
  private func requireNotAnother(_ folder: ImageFolder) throws {
    guard let path = folder.locate(ImageFolder.files[3]), path.hasSuffix(".gz") else { return }
    let sum = MD5.hexadecimal(of: try FileContents.read(path))
    for other in NamedImageSet.all where other.name != name && other.checksums[3] == sum {
      throw ApusError(
        .data, operation: folder.path,
        "holds \(other.name), not \(name); name the data \(other.name), or put \(name) into "
          + "\(folder.path)/\(folders[0])")
    }
  }

  private func absent(_ places: [String], reason: String) -> ApusError {
    let files = ImageFolder.files.map { $0 + ".gz" }.joined(separator: ", ")
    return ApusError(
      .file, operation: name,
      "is not on this machine and cannot be downloaded (\(reason)). Put \(files) (packed or not) into "
        + "\(places.map { "\($0)/\(folders[0])" }.joined(separator: " or ")), or give their folder "
        + "with --data-dir or $APUS_DATA_DIR. Sources: \(mirrors.joined(separator: " "))")
  }

  /// Where named sets are looked for, in turn.
  static func places(_ options: DataOptions) -> [String] {
    [options.dataDirectory, environment("APUS_DATA_DIR"), cacheDirectory(options)]
      .compactMap { $0 }
  }

  static func cacheDirectory(_ options: DataOptions) -> String {
    if let directory = options.cacheDirectory { return directory }
    if let base = environment("XDG_CACHE_HOME") { return base + "/apus" }
    return NSHomeDirectory() + "/.cache/apus"
  }

  private static func environment(_ name: String) -> String? {
    guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
    return value
  }
}

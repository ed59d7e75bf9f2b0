import ApusDevice
import Foundation

/// Texts in one folder per class, in parts (`train/CLASS/FILE`, with `test` beside `train`) or in one
/// (`CLASS/FILE`), on disk or in a tar archive.
///
/// A part may have a name that ends so (`20news-bydate-train`). Any file counts, whatever its ending, but
/// those whose names begin with a dot.
struct TextFolder {
  private struct File {
    /// Folders and name, below the part.
    var path: [Substring]
    /// The same from the root on, for messages.
    let place: String
    let read: () throws -> [UInt8]

    init(_ path: [Substring], read: @escaping () throws -> [UInt8]) {
      (self.path, self.read) = (path, read)
      place = path.joined(separator: "/")
    }

    /// Without the outermost folder.
    var inner: File {
      var file = self
      file.path.removeFirst()
      return file
    }
  }
  private typealias Files = [File]

  private let name: String
  private let parts: [String: Files]

  /// - Throws: ``ApusError`` where there are no texts by class.
  init(path: String) throws {
    let files: Files
    if FileContents.isFolder(path) {
      files = try Self.files(in: path)
    } else {
      let tar = try TarArchive(try FileContents.readUnpacked(path), name: path)
      files = tar.names.map { name in
        File(name.split(separator: "/").filter { $0 != "." }) { tar.contents(of: name) ?? [] }
      }
    }
    name = path
    parts = Self.parts(files.filter { $0.path.allSatisfy { !$0.hasPrefix(".") } })
    guard let train = parts["train"], !train.isEmpty else {
      throw ApusError(
        .file, operation: path,
        "holds no texts by class; a folder per class is needed (CLASS/FILE or train/CLASS/FILE)")
    }
  }

  private static func files(in root: String) throws -> Files {
    guard let walk = FileManager.default.enumerator(atPath: root) else {
      throw ApusError(.file, operation: root, "cannot be listed")
    }
    var names: [String] = []
    while let name = walk.nextObject() as? String { names.append(name) }
    return names.filter { !FileContents.isFolder("\(root)/\($0)") }.sorted().map { name in
      File(name.split(separator: "/")) { try FileContents.readUnpacked("\(root)/\(name)") }
    }
  }

  /// The files of each part, by what their paths say below the folders that all share.
  private static func parts(_ files: Files) -> [String: Files] {
    var files = files
    while let first = files.first?.path.first, files.allSatisfy({ $0.path.first == first }),
      files.allSatisfy({ $0.path.count > 2 }), part(first) == nil
    {
      files = files.map(\.inner)
    }
    let isParted = files.contains { $0.path.first.flatMap(part) == "train" && $0.path.count > 2 }
    guard isParted else { return ["train": files.filter { $0.path.count > 1 }] }
    var result: [String: Files] = [:]
    for file in files where file.path.count > 2 {
      guard let name = file.path.first.flatMap(part) else { continue }
      result[name, default: []].append(file.inner)
    }
    return result
  }

  private static func part(_ folder: Substring) -> String? {
    for (name, forms) in [
      ("train", ["train", "training"]), ("validation", ["val", "valid", "validation"]),
      ("test", ["test"]),
    ] where forms.contains(where: { folder == $0 || folder.hasSuffix("-" + $0) }) {
      return name
    }
    return nil
  }

  func load(_ options: DataOptions) throws -> LoadedData {
    let train = parts["train"] ?? []
    let names = Set(train.map { String($0.path[0]) }).sorted()
    guard names.count > 1 else {
      throw ApusError(
        .data, operation: name, "has a single class '\(names.first ?? "")'; two are needed at least"
      )
    }
    func dataset(_ files: Files) throws -> Dataset {
      var (texts, labels): ([String], [Int32]) = ([], [])
      for file in files {
        let place = "\(name)/\(file.place)"
        guard let label = names.firstIndex(of: String(file.path[0])) else {
          throw ApusError(
            .data, operation: place,
            "is of a class that the training part does not have; it has \(CSVTable.list(names))")
        }
        texts.append(
          try TextFile.text(of: file.read(), options.textEncoding, name: place))
        labels.append(Int32(clamping: label))
      }
      return try Dataset(name: name, texts: texts, labels: labels, classNames: names)
    }
    let all = try dataset(train)
    let held = try parts["test"].map(dataset)
    let validation = try parts["validation"].map(dataset)
    // A single held-out part is the final test.
    guard held == nil, validation == nil, options.testFraction > 0 else {
      return LoadedData(
        train: all, test: held ?? validation, validation: held == nil ? nil : validation)
    }
    return try DataSource.parts(all, .none, options)
  }
}

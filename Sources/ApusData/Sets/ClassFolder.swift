import ApusDevice
import Foundation

/// PNG and JPEG images in one folder per class, in parts (`train/CLASS/*.jpg`, with `val` or `test`
/// beside `train`) or in one (`CLASS/*.jpg`).
///
/// Classes are named by their folders, in the order of the names. Names that begin with a dot and
/// files of other endings are passed over.
package struct ClassFolder {
  /// The side of images that have no common size.
  static let fallbackSide = 64

  private let path: String
  private let classNames: [String]
  private let train: Part<String>
  private let validation: Part<String>?
  private let test: Part<String>?

  /// Files with their classes: paths, or what their headers say.
  private struct Part<File> {
    var files: [File] = []
    var labels: [Int32] = []
  }

  /// nil where the folder holds no folder of images.
  package init?(path: String) throws {
    self.path = path
    let root = ["train", "training"].map { path + "/" + $0 }.first { FileContents.isFolder($0) }
    let names = try ClassFolder.folders(in: root ?? path).filter {
      try !ClassFolder.images(in: "\(root ?? path)/\($0)").isEmpty
    }
    guard !names.isEmpty else { return nil }
    classNames = names
    train = try ClassFolder.part(root ?? path, names)
    guard root != nil else {
      (validation, test) = (nil, nil)
      return
    }
    func held(_ folders: [String]) throws -> Part<String>? {
      try folders.map { path + "/" + $0 }.first { FileContents.isFolder($0) }
        .map { try ClassFolder.part($0, names) }
    }
    let (validation, test) = (try held(["val", "valid", "validation"]), try held(["test"]))
    // A single held-out part is the final test.
    (self.validation, self.test) = test == nil ? (nil, validation) : (validation, test)
  }

  package func load(name: String, _ options: DataOptions) throws -> LoadedData {
    func read(_ part: Part<String>) throws -> Part<Photos.File> {
      Part(files: try Photos.File.reading(part.files), labels: part.labels)
    }
    let parts = (
      train: try read(train), validation: try validation.map(read), test: try test.map(read)
    )
    let files = [parts.train, parts.validation, parts.test].compactMap { $0 }.flatMap(\.files)
    let isGray = options.imageChannels.map { $0 == 1 } ?? files.allSatisfy(\.isGray)
    let sizes = Set(files.map(\.size))
    var notes: [String] = []
    let size: ImageSize
    if let wanted = options.imageSize {
      size = wanted
    } else if let common = sizes.first, sizes.count == 1 {
      size = common
    } else {
      size = ImageSize(ClassFolder.fallbackSide)
      notes.append(
        "images of \(sizes.count) sizes are scaled and cut to \(size) (--image-size chooses)")
    }
    try size.validate()
    let shape = [isGray ? 1 : 3, size.height, size.width]
    // At most 48 MiB each, so the product does not overflow.
    let bytes = files.count * shape.reduce(1, *)
    let isKept = bytes <= options.decodedLimit
    if !isKept {
      notes.append(
        "\(files.count) images of \(size) take \(bytes >> 20) MiB; they are decoded whenever they are "
          + "used")
    }
    func dataset(_ part: Part<Photos.File>) throws -> Dataset {
      let photos = Photos(files: part.files, shape: shape)
      return try Dataset(
        name, isKept ? .bytes(photos.decoded(), of: photos) : .photos(photos), shape, part.labels,
        classNames, nil, nil)
    }
    let all = try dataset(parts.train)
    guard test == nil, options.testFraction > 0 else {
      return LoadedData(
        train: all, test: try parts.test.map(dataset),
        validation: try parts.validation.map(dataset),
        defaultPreprocessing: .standardizeChannels, imageSize: size, notes: notes)
    }
    let split = try DataSource.parts(all, .standardizeChannels, options)
    return LoadedData(
      train: split.train, test: split.test, defaultPreprocessing: .standardizeChannels,
      imageSize: size, notes: notes)
  }

  private static func part(_ path: String, _ names: [String]) throws -> Part<String> {
    let present = try folders(in: path)
    if let other = present.first(where: { !names.contains($0) }),
      try !images(in: "\(path)/\(other)").isEmpty
    {
      throw ApusError(
        .data, operation: "\(path)/\(other)",
        "holds images of a class that the training part does not have; it has "
          + names.prefix(12).joined(separator: ", "))
    }
    var part = Part<String>()
    for (label, name) in names.enumerated() where present.contains(name) {
      let files = try images(in: "\(path)/\(name)")
      part.files += files
      part.labels += files.map { _ in Int32(truncatingIfNeeded: label) }
    }
    guard !part.files.isEmpty else {
      throw ApusError(.data, operation: path, "holds no .jpg or .png images by class")
    }
    return part
  }

  private static func folders(in path: String) throws -> [String] {
    try entries(path).filter { FileContents.isFolder("\(path)/\($0)") }
  }

  /// The image files of a folder, in the order of their names.
  package static func images(in path: String) throws -> [String] {
    try entries(path).filter { ImageFile.isNamed($0) }.map { "\(path)/\($0)" }
      .filter { !FileContents.isFolder($0) }
  }

  private static func entries(_ path: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { !$0.hasPrefix(".") }.sorted()
    } catch {
      throw ApusError(
        .file, operation: path, "cannot be listed: \(error.fileReason)")
    }
  }
}

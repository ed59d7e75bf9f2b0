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
  /// More bytes than this are not kept in memory.
  static let byteLimit = 8 << 30

  private let path: String
  private let classNames: [String]
  private let train: Part
  private let validation: Part?
  private let test: Part?

  /// Files with their classes.
  private struct Part {
    var files: [String] = []
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
    func held(_ folders: [String]) throws -> Part? {
      try folders.map { path + "/" + $0 }.first { FileContents.isFolder($0) }
        .map { try ClassFolder.part($0, names) }
    }
    let (validation, test) = (try held(["val", "valid", "validation"]), try held(["test"]))
    // A single held-out part is the final test.
    (self.validation, self.test) = test == nil ? (nil, validation) : (validation, test)
  }

  package func load(name: String, _ options: DataOptions) throws -> LoadedData {
    let parts = [train, validation, test].compactMap { $0 }
    let files = parts.flatMap(\.files)
    let headers = try ClassFolder.inParallel(files.count) { try ImageFile.header(files[$0]) }
    let isGray = options.imageChannels.map { $0 == 1 } ?? headers.allSatisfy(\.isGray)
    let sizes = Set(headers.map { ImageSize(height: $0.height, width: $0.width) })
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
    try requireRoom(files.count, shape)
    func dataset(_ part: Part) throws -> Dataset {
      try Dataset(
        name: name, pixels: try ClassFolder.pixels(part.files, shape, size), imageShape: shape,
        labels: part.labels, classNames: classNames)
    }
    let all = try dataset(train)
    guard test == nil, options.testFraction > 0 else {
      return LoadedData(
        train: all, test: try test.map(dataset), validation: try validation.map(dataset),
        defaultPreprocessing: .standardizeChannels, imageSize: size, notes: notes)
    }
    let split = try DataSource.parts(all, .standardizeChannels, options)
    return LoadedData(
      train: split.train, test: split.test, defaultPreprocessing: .standardizeChannels,
      imageSize: size, notes: notes)
  }

  private func requireRoom(_ count: Int, _ shape: [Int]) throws {
    guard count <= ClassFolder.byteLimit / shape.reduce(1, *) else {
      throw ApusError(
        .data, operation: path,
        "\(count) images of \(shape) take more than \(ClassFolder.byteLimit >> 30) GiB in memory; "
          + "choose a smaller --image-size")
    }
  }

  /// The images of files, one after the other, scaled to `size`.
  package static func pixels(
    _ files: [String], _ shape: [Int], _ size: ImageSize
  ) throws -> [UInt8] {
    let images = try inParallel(files.count) { index in
      try ImageFile.read(files[index], channels: shape[0] == 1 ? .gray : .rgb)
        .imageCovering(size).bytes
    }
    return images.flatMap { $0 }
  }

  private static func part(_ path: String, _ names: [String]) throws -> Part {
    let present = try folders(in: path)
    if let other = present.first(where: { !names.contains($0) }),
      try !images(in: "\(path)/\(other)").isEmpty
    {
      throw ApusError(
        .data, operation: "\(path)/\(other)",
        "holds images of a class that the training part does not have; it has "
          + names.prefix(12).joined(separator: ", "))
    }
    var part = Part()
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
        .file, operation: path, "cannot be listed: \(error.localizedDescription)")
    }
  }

  /// Results in order, made on all cores; of several failures, that of the first index.
  private static func inParallel<Item: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Item
  ) throws -> [Item] {
    let prefetcher = Prefetcher<Item>(
      count: count, workers: ProcessInfo.processInfo.activeProcessorCount
    ) { index, _ in try body(index) }
    var results: [Item] = []
    while let result = try prefetcher.next() { results.append(result) }
    return results
  }
}

import ApusDevice
import Foundation

/// The binary version of CIFAR-10 and CIFAR-100: records of a label (CIFAR-100: a coarse and a fine
/// one) and 3 × 32 × 32 bytes, plane by plane.
///
/// Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Files may be
/// packed (`.gz`); batches that are not there are left out.
package struct CIFARFolder {
  enum Kind {
    case cifar10, cifar100

    var trainingFiles: [String] {
      switch self {
      case .cifar10: (1...5).map { "data_batch_\($0).bin" }
      case .cifar100: ["train.bin"]
      }
    }
    var testFile: String { self == .cifar10 ? "test_batch.bin" : "test.bin" }
    var namesFile: String { self == .cifar10 ? "batches.meta.txt" : "fine_label_names.txt" }
    var labelCount: Int { self == .cifar10 ? 1 : 2 }
    var classCount: Int { self == .cifar10 ? 10 : 100 }
    var folder: String { self == .cifar10 ? "cifar-10-batches-bin" : "cifar-100-binary" }
  }

  static let classNames = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
  ]
  static let imageShape = [3, 32, 32]

  let kind: Kind
  /// Unpacked contents by the names above; nil where there is no such file.
  let contents: (String) throws -> [UInt8]?
  let place: String

  /// The folder, or the one the archive makes in it; nil where neither holds training batches.
  package init?(path: String) throws {
    for kind in [Kind.cifar10, .cifar100] {
      for folder in [path, path + "/" + kind.folder] {
        let found = kind.trainingFiles.contains { CIFARFolder.locate(folder, $0) != nil }
        guard found else { continue }
        self.kind = kind
        place = folder
        contents = { file in
          try CIFARFolder.locate(folder, file).map { try FileContents.readUnpacked($0) }
        }
        return
      }
    }
    return nil
  }

  /// CIFAR-10 in a packed tar archive.
  init(archive: String) throws {
    kind = .cifar10
    place = archive
    let tar = try TarArchive(try FileContents.readUnpacked(archive), name: archive)
    let folder = kind.folder
    contents = { file in tar.contents(of: "\(folder)/\(file)") }
  }

  private static func locate(_ folder: String, _ file: String) -> String? {
    [file, file + ".gz"].map { folder + "/" + $0 }.first { FileContents.exists($0) }
  }

  package func load(name: String, _ options: DataOptions) throws -> LoadedData {
    let names = try classNames()
    let train = try part(kind.trainingFiles, name, names, options)
    let test = try part([kind.testFile], name, names, options)
    guard let train else {
      throw ApusError(.file, operation: place, "holds no images to train with")
    }
    let shape = train.featureShape
    let size = ImageSize(height: shape[1], width: shape[2])
    guard test == nil, options.testFraction > 0 else {
      return LoadedData(
        train: train, test: test, defaultPreprocessing: .standardizeChannels, imageSize: size)
    }
    let parts = try DataSource.parts(train, .standardizeChannels, options)
    return LoadedData(
      train: parts.train, test: parts.test, defaultPreprocessing: .standardizeChannels,
      imageSize: size)
  }

  private func classNames() throws -> [String] {
    guard let bytes = try contents(kind.namesFile) else {
      return kind == .cifar10
        ? CIFARFolder.classNames : (0..<kind.classCount).map { String($0) }
    }
    let names = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    guard names.count == kind.classCount, Set(names).count == names.count else {
      throw ApusError(
        .data, operation: "\(place)/\(kind.namesFile)",
        "names \(names.count) classes; \(kind.classCount) different ones are needed")
    }
    return names
  }

  /// The images of the files that are there; nil where none is.
  private func part(
    _ files: [String], _ name: String, _ names: [String], _ options: DataOptions
  ) throws -> Dataset? {
    var pixels: [UInt8] = []
    var labels: [Int32] = []
    for file in files {
      guard let bytes = try contents(file) else { continue }
      try append(bytes, "\(place)/\(file)", &pixels, &labels)
    }
    guard !labels.isEmpty else { return nil }
    let all = try Dataset(
      name: name, pixels: pixels, imageShape: CIFARFolder.imageShape, labels: labels,
      classNames: names)
    return try all.images(
      size: options.imageSize ?? ImageSize(32), isGray: options.imageChannels == 1)
  }

  private func append(
    _ bytes: [UInt8], _ file: String, _ pixels: inout [UInt8], _ labels: inout [Int32]
  ) throws {
    let record = kind.labelCount + 3072
    guard bytes.count % record == 0 else {
      throw ApusError(
        .file, operation: file,
        "has \(bytes.count) bytes, no whole number of records of \(record); it is cut off or no "
          + "CIFAR batch")
    }
    pixels.reserveCapacity(pixels.count + bytes.count)
    for start in stride(from: 0, to: bytes.count, by: record) {
      let label = bytes[start + kind.labelCount - 1]
      guard Int(label) < kind.classCount else {
        throw ApusError(
          .data, operation: file,
          "record \(start / record) has the label \(label), outside 0 to \(kind.classCount - 1)")
      }
      labels.append(Int32(label))
      pixels.append(contentsOf: bytes[start + kind.labelCount..<start + record])
    }
  }
}

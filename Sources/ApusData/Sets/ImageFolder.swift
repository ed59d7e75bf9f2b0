import ApusDevice

/// A folder of IDX files under the names of the MNIST family, each packed (`.gz`) or not.
package struct ImageFolder {
  /// Training images, training labels, test images, test labels.
  package static let files = [
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
  ]

  let path: String

  /// The file as it lies in the folder: as named, packed, or with the dot some archives use.
  func locate(_ file: String) -> String? {
    let dotted = file.replacing("-idx", with: ".idx")
    return [file, file + ".gz", dotted, dotted + ".gz"].map { path + "/" + $0 }
      .first { FileContents.exists($0) }
  }

  /// The files that are not there.
  var missing: [String] { ImageFolder.files.filter { locate($0) == nil } }
  var isComplete: Bool { missing.isEmpty }

  /// Images `[1, height, width]` of 0–255 with labels.
  func load(name: String, classNames: [String]?) throws -> LoadedData {
    let train = try part(name, ImageFolder.files[0], ImageFolder.files[1], classNames)
    let test = try part(name, ImageFolder.files[2], ImageFolder.files[3], train.classNames)
    guard train.featureShape == test.featureShape else {
      throw ApusError(
        .data, operation: path,
        "training images have the shape \(train.featureShape), test images \(test.featureShape)")
    }
    return LoadedData(train: train, test: test, defaultPreprocessing: .scale(by: 1 / 255))
  }

  private func part(
    _ name: String, _ imageFile: String, _ labelFile: String, _ classNames: [String]?
  ) throws -> Dataset {
    let (images, imagePath) = try array(imageFile)
    let (labels, labelPath) = try array(labelFile)
    guard images.shape.count == 3, images.dtype == .uint8 else {
      throw ApusError(
        .data, operation: imagePath,
        "images must be uint8 [count, height, width], not \(images.dtype) \(images.shape)")
    }
    guard labels.shape == [images.shape[0]] else {
      throw ApusError(
        .data, operation: labelPath,
        "has the shape \(labels.shape), but there are \(images.shape[0]) images")
    }
    let indices = try labels.int32s()
    let names = try classNames ?? LabelNames.numbered(indices, name: labelPath)
    if let bad = indices.firstIndex(where: { $0 < 0 || Int($0) >= names.count }) {
      throw ApusError(
        .data, operation: labelPath,
        "label \(indices[bad]) of image \(bad) is outside the \(names.count) classes")
    }
    return try Dataset(
      name: name, features: images.floats(), featureShape: [1, images.shape[1], images.shape[2]],
      labels: indices, classNames: names)
  }

  private func array(_ file: String) throws -> (HostArray, String) {
    guard let path = locate(file) else {
      throw ApusError(.file, operation: path, "lacks \(file) (or \(file).gz)")
    }
    return (try IDX.read(path), path)
  }
}

/// Class names where the data only has numbers.
enum LabelNames {
  /// `"0"` to the greatest label. Throws for negative labels and for absurdly great ones.
  static func numbered(_ labels: [Int32], name: String) throws -> [String] {
    let (low, high) = (labels.min() ?? 0, labels.max() ?? 0)
    guard low >= 0, high < 100_000 else {
      throw ApusError(
        .data, operation: name,
        "labels run from \(low) to \(high); they must be class indices from 0 to 99 999")
    }
    return (0...high).map { String($0) }
  }
}

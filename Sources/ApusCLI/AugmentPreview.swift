import Apus
import ArgumentParser
import Foundation

/// `apus augment-preview`.
struct AugmentPreview: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw what augmentation does to training images.",
    discussion: """
      Writes a PNG sheet: on each line an image as it is, then variants of it. The images of a line and
      their classes are printed.

        apus augment-preview --data cifar10 --augment flip,crop:4,cutout:8 --output sheet.png
      """)

  @OptionGroup var data: DataArguments

  @Option(
    help: ArgumentHelp(
      "Random changes of the images, separated by commas.",
      discussion: "In the order of their use: " + Augmentation.forms.joined(separator: ", ") + "."),
    transform: { try Augmentation(parsing: $0) })
  var augment: Augmentation

  @Option(help: "The PNG file to write.")
  var output: String

  @Option(help: "How many pictures the sheet has, originals among them.")
  var count = 32

  @Option(help: "How many of them stand on a line: an original and its variants.")
  var columns = 8

  @Option(help: "Chooses images and changes.")
  var seed: UInt64 = 0

  func validate() throws {
    guard (2...64).contains(columns), (2...4096).contains(count) else {
      throw ValidationError("--columns must be within 2...64, --count within 2...4096")
    }
  }

  func run() throws {
    try DistinctPaths.require(written: [("--output", output)], read: [("--data", data.data)])
    try AtomicFile.requireWritable(output)
    let loaded = try DataSource.load(
      data.data, options: data.options(seed: seed, testFraction: 0, quiet: false))
    loaded.notes.forEach { Console.note($0) }
    let preprocessing = try Preprocessing.fit(loaded.defaultPreprocessing, on: loaded.train)
    let sheet = ContactSheet(
      data: loaded.train, background: preprocessing.background, augmentation: augment,
      lines: (count + columns - 1) / columns,
      columns: columns, key: RandomKey(seed))
    let drawn = try sheet.draw()
    try PNG.write(drawn.image, to: output)
    for (line, example) in drawn.examples.enumerated() {
      let label =
        loaded.train.labels.isEmpty
        ? "" : "  " + loaded.train.classNames[Int(loaded.train.labels[example])]
      try Console.print("line \(line + 1): example \(example)\(label)")
    }
    try Console.print("sheet \(output)")
  }
}

/// Originals beside variants of them.
struct ContactSheet {
  let data: Dataset
  /// What training fills up with.
  let background: [Float]?
  let augmentation: Augmentation
  let lines: Int
  let columns: Int
  let key: RandomKey

  private static let gap = 2
  /// Small images are drawn larger, until a picture has about this many pixels a side.
  private static let side = 96

  /// The sheet `uint8 [3, height, width]`, and which example each line shows.
  func draw() throws -> (image: HostArray, examples: [Int]) {
    guard data.featureShape.count == 3, [1, 3].contains(data.featureShape[0]), data.count > 0 else {
      throw ApusError(
        .shape, operation: data.name,
        "examples have shape \(data.featureShape); augmentation changes images "
          + "[1 or 3, height, width]")
    }
    let examples = Array(
      Shuffle.permutation(count: data.count, key: key.folded(0)).prefix(lines))
    let (height, width) = (data.featureShape[1], data.featureShape[2])
    let zoom = max(1, Self.side / max(height, width))
    let cell = (height: height * zoom + Self.gap, width: width * zoom + Self.gap)
    let (rows, across) = (
      examples.count * cell.height + Self.gap, columns * cell.width + 2 * Self.gap
    )
    guard rows * across <= PNG.defaultPixelLimit else {
      throw ApusError(
        .value, operation: "augment-preview",
        "a sheet of \(across)x\(rows) pixels is too large; lower --count or --image-size")
    }
    var sheet = [UInt8](repeating: 255, count: 3 * rows * across)
    for (line, example) in examples.enumerated() {
      for column in 0..<columns {
        let image = try column == 0 ? original(example) : variant(example, column)
        // A wider gap sets the originals apart.
        let left = Self.gap + column * cell.width + (column > 0 ? Self.gap : 0)
        let top = Self.gap + line * cell.height
        for channel in 0..<3 {
          let plane = min(channel, image.channels - 1) * height * width
          for y in 0..<height * zoom {
            let target = (channel * rows + top + y) * across + left
            for x in 0..<width * zoom {
              let value = image.values[plane + y / zoom * width + x / zoom]
              sheet[target + x] = UInt8(min(max(value / image.maximum * 255, 0), 255))
            }
          }
        }
      }
    }
    return (try HostArray(sheet, shape: [3, rows, across]), examples)
  }

  private func original(_ example: Int) throws -> RasterImage {
    try RasterImage(
      data.example(example).features, shape: data.featureShape, background: background,
      maximum: data.pixelMaximum)
  }

  private func variant(_ example: Int, _ column: Int) throws -> RasterImage {
    let key = key.folded(1).folded(UInt64(example)).folded(UInt64(column))
    let image = try changed(example, key)
    guard let mixup = augmentation.mixup else { return image }
    // Mixed with another example, as a batch would be.
    let partner = Shuffle.permutation(count: data.count, key: key.folded(2)).first ?? example
    let other = try changed(partner, key.folded(3))
    let share = mixup.pairing(count: 1, key: key.folded(4)).share
    return try RasterImage(
      zip(image.values, other.values).map { share * $0 + (1 - share) * $1 },
      shape: data.featureShape, maximum: image.maximum)
  }
  private func changed(_ example: Int, _ key: RandomKey) throws -> RasterImage {
    try data.augmented(
      example, by: augmentation, key: key, background: background, maximum: data.pixelMaximum)
  }
}

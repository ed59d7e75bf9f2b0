import ApusData
import ApusDevice
import Foundation
import Testing

/// Folders of images by class, CIFAR batches and the archive they come in.
@Suite struct ImageSetTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func image(_ value: UInt8, _ shape: [Int] = [3, 4, 4]) throws -> [UInt8] {
    try PNG.encode(
      HostArray([UInt8](repeating: value, count: shape.reduce(1, *)), shape: shape))
  }

  @discardableResult
  private func write(_ value: UInt8, _ name: String, _ shape: [Int] = [3, 4, 4]) throws -> String {
    try scratch.write(image(value, shape), name)
  }

  private func load(_ change: (inout DataOptions) -> Void = { _ in }) throws -> LoadedData {
    var options = DataOptions(testFraction: 0)
    change(&options)
    return try DataSource.load(scratch.path, options: options)
  }

  @Test func readsPartsByClass() throws {
    for (index, name) in ["train/b/2.png", "train/b/1.png", "train/a/x.PNG", "val/b/v.png"]
      .enumerated()
    {
      try write(UInt8(10 * index), name)
    }
    try scratch.write("no image", "train/a/notes.txt")
    try scratch.write("hidden", "train/.git/x.png")
    try FileManager.default.createDirectory(
      atPath: scratch.path + "/train/empty", withIntermediateDirectories: true)
    let data = try load()
    #expect(data.train.classNames == ["a", "b"] && data.train.labels == [0, 1, 1])
    #expect(data.train.featureShape == [3, 4, 4] && data.train.pixelMaximum == 255)
    #expect(data.train.pixels == [20, 10, 0].flatMap { [UInt8](repeating: $0, count: 48) })
    #expect(data.test?.labels == [1] && data.validation == nil)
    #expect(data.imageSize == ImageSize(4) && data.notes.isEmpty)
    #expect(data.defaultPreprocessing == .standardizeChannels)
    // With a test part the other is for validation.
    try write(90, "test/a/t.png")
    let three = try load()
    #expect(three.test?.labels == [0] && three.validation?.labels == [1])
    try write(1, "test/c/t.png")
    expectError("test/c", "does not have", "a, b") { try load() }
  }

  @Test func readsClassesWithoutParts() throws {
    for index in 0..<10 { try write(UInt8(index), "\(index % 2)/\(index).png") }
    let all = try load()
    #expect(all.train.count == 10 && all.test == nil)
    let split = try load { $0.testFraction = 0.2 }
    #expect(split.train.count == 8 && split.test?.labels == [0, 1])
  }

  @Test func choosesSizesAndChannels() throws {
    try write(8, "a/1.png", [1, 4, 6])
    try write(9, "b/1.png", [1, 4, 6])
    #expect(try load().train.featureShape == [1, 4, 6])
    #expect(try load { $0.imageChannels = 3 }.train.featureShape == [3, 4, 6])
    #expect(try load { $0.imageSize = ImageSize(2) }.train.pixels == [8, 8, 8, 8, 9, 9, 9, 9])
    try scratch.write(FileContents.read(Golden.path("turned6.jpg")), "b/2.jpg")
    let mixed = try load()
    #expect(mixed.train.featureShape == [3, 64, 64])
    #expect(mixed.notes.count == 1 && mixed.notes[0].contains("--image-size"))
    // 6 × 9 as shown, whatever way it is stored.
    try FileManager.default.removeItem(atPath: scratch.path + "/a/1.png")
    try FileManager.default.removeItem(atPath: scratch.path + "/b/1.png")
    #expect(try load().train.featureShape == [3, 6, 9])
    expectError("image size") { try load { $0.imageSize = ImageSize(0) } }
    expectError("image size") { try load { $0.imageSize = ImageSize(5000) } }
  }

  @Test func namesDamagedFiles() throws {
    try write(1, "a/1.png")
    try scratch.write(
      Array(FileContents.read(Golden.path("baseline.jpg")).prefix(700)), "a/2.jpg")
    for limit in [0, 1 << 30] {
      expectError("a/2.jpg", "cut off") { try load { $0.decodedLimit = limit }.train.features }
    }
    // What a header tells is found before anything is decoded.
    for bytes in [Array("no image".utf8), []] {
      try scratch.write(bytes, "a/2.jpg")
      expectError("a/2.jpg") { try load { $0.decodedLimit = 0 } }
    }
    let bare = try Scratch()
    expectError("images by class", "CIFAR", "train-images-idx3-ubyte") {
      try DataSource.load(bare.path)
    }
  }

  /// Records with the label `l` and pixels `l, l + 1, …`.
  private func batch(_ labels: [UInt8], prefix: [UInt8] = []) -> [UInt8] {
    labels.flatMap { label in prefix + [label] + (0..<3072).map { UInt8(($0 + Int(label)) % 251) } }
  }

  @Test func readsCIFAR() throws {
    try scratch.write(batch([3, 9]), "data_batch_2.bin")
    try scratch.write(Zlib.deflate(batch([0]), .gzip, name: "x"), "data_batch_4.bin.gz")
    try scratch.write(batch([7]), "test_batch.bin")
    let data = try load()
    #expect(data.train.labels == [3, 9, 0] && data.test?.labels == [7])
    #expect(data.train.featureShape == [3, 32, 32] && data.train.classNames[9] == "truck")
    #expect(try data.train.example(1).features.prefix(3) == [9, 10, 11])
    #expect(try load { $0.imageSize = ImageSize(16) }.train.featureShape == [3, 16, 16])
    #expect(try load { $0.imageChannels = 1 }.train.featureShape == [1, 32, 32])
    let names = (0..<10).map { "kind \($0)" }
    try scratch.write(names.joined(separator: "\n") + "\n\n", "batches.meta.txt")
    #expect(try load().train.classNames == names)
    try scratch.write("one\ntwo\n", "batches.meta.txt")
    expectError("batches.meta.txt", "2 classes") { try load() }
    try FileManager.default.removeItem(atPath: scratch.path + "/batches.meta.txt")
    try scratch.write(batch([1, 10]), "data_batch_2.bin")
    expectError("data_batch_2.bin", "record 1", "label 10") { try load() }
    try scratch.write(Array(batch([1]).dropLast()), "data_batch_2.bin")
    expectError("data_batch_2.bin", "3072 bytes", "cut off") { try load() }
  }

  @Test func readsCIFAR100() throws {
    try scratch.write(batch([99, 5], prefix: [19]), "cifar-100-binary/train.bin")
    let data = try load()
    #expect(data.train.labels == [99, 5] && data.train.classCount == 100)
    #expect(try data.train.example(1).features.prefix(2) == [5, 6])
  }

  /// An archive entry; `size` may lie.
  private func entry(_ name: String, _ contents: [UInt8], size: Int? = nil) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, _ offset: Int) {
      for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
    }
    put(name, 0)
    put(String(format: "%011o", size ?? contents.count), 124)
    put("        ", 148)
    put("0", 156)
    put("ustar", 257)
    put(String(format: "%06o", header.reduce(0) { $0 + Int($1) }), 148)
    header[154] = 0
    return header + contents + [UInt8](repeating: 0, count: (512 - contents.count % 512) % 512)
  }

  @Test func readsTheArchiveByName() throws {
    let tar =
      entry("cifar-10-batches-bin/data_batch_1.bin", batch([2, 3]))
      + entry("cifar-10-batches-bin/test_batch.bin", batch([4]))
      + [UInt8](repeating: 0, count: 1024)
    let packed = try Zlib.deflate(tar, .gzip, name: "x")
    try scratch.write(packed, "cifar10/cifar-10-binary.tar.gz")
    let options = DataOptions(dataDirectory: scratch.path, allowDownload: false)
    let data = try DataSource.load("cifar10", options: options)
    #expect(data.train.labels == [2, 3] && data.test?.labels == [4])
    let elsewhere = DataOptions(
      dataDirectory: scratch.path + "/nothing", allowDownload: false,
      cacheDirectory: scratch.path + "/cache")
    expectError("cifar10", "cifar-10-binary.tar.gz", "data_batch_5.bin", "--data-dir") {
      try DataSource.load("cifar10", options: elsewhere)
    }
  }

  @Test func refusesDamagedArchives() throws {
    let good = entry("a", [1, 2, 3])
    #expect(try TarArchive(good, name: "x").contents(of: "a") == [1, 2, 3])
    #expect(try TarArchive(good, name: "x").contents(of: "b") == nil)
    expectError("x", "no file") { try TarArchive([], name: "x") }
    expectError("x", "cut off") { try TarArchive(entry("a", [1], size: 5000), name: "x") }
    var damaged = good
    damaged[0] = 98
    expectError("x", "checksum") { try TarArchive(damaged, name: "x") }
  }

  /// Sums over channels by hand.
  @Test func fitsChannels() throws {
    let data = try Dataset(
      name: "two", pixels: [0, 2, 10, 10, 4, 6, 10, 10], imageShape: [2, 1, 2], labels: [0, 0],
      classNames: ["a"])
    let fitted = try Preprocessing.fit(.standardizeChannels, on: data)
    // Channel 0: 0, 2, 4, 6; channel 1 is constant.
    #expect(
      fitted == .standardizeChannels(mean: [3, 10], deviation: [Float(5).squareRoot(), 1]))
    #expect(fitted.background == [3, 10])
    let root = Float(5).squareRoot()
    #expect(
      try fitted.applied(to: data).features
        == [-3 / root, -1 / root, 0, 0, 1 / root, 3 / root, 0, 0])
    let json = try JSONEncoder().encode(fitted)
    #expect(try JSONDecoder().decode(Preprocessing.self, from: json) == fitted)
    let floats = try Dataset(name: "f", features: data.features, featureShape: [2, 1, 2])
    #expect(try Preprocessing.fit(.standardizeChannels, on: floats) == fitted)
    expectError("only images") {
      try Preprocessing.fit(
        .standardizeChannels, on: Dataset(name: "t", features: [1, 2], featureShape: [2]))
    }
    expectError("2 channels") {
      var values: [Float] = [1, 2, 3]
      try fitted.apply(&values, featureCount: 3)
    }
  }

  @Test func keepsBytes() throws {
    let data = try Dataset(
      name: "bytes", pixels: [0, 1, 2, 3, 4, 255], imageShape: [1, 1, 2], labels: [0, 1, 1],
      classNames: ["a", "b"])
    #expect(try data.count == 3 && data.features == [0, 1, 2, 3, 4, 255])
    #expect(try data.subset([2, 0]).pixels == [4, 255, 0, 1])
    #expect(try data.batch([1]).features == [2, 3])
    #expect(try data.appending(data.subset([0])).pixels == [0, 1, 2, 3, 4, 255, 0, 1])
    let (rest, part) = try data.split(fraction: 0.4, key: RandomKey(1))
    #expect(rest.pixels?.count == 4 && part.pixels?.count == 2)
    let other = try Dataset(name: "x", features: [1], featureShape: [1])
    expectError("cannot be joined") { try data.appending(other) }
    expectError("[channels, height, width]") {
      try Dataset(name: "x", pixels: [1], imageShape: [1])
    }
  }
}

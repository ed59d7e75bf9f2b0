import ApusData
import ApusDevice
import Foundation
import Testing

/// Photos that are decoded when they are used, against the same ones in memory.
struct PhotosTests {
  private let scratch: Scratch

  /// Photos of several sizes with a fine pattern, in two classes.
  init() throws {
    scratch = try Scratch()
    for index in 0..<10 {
      let (height, width) = (20 + index, 33 - index)
      let pixels = (0..<3 * height * width).map { UInt8(($0 * 31 + index * 7) % 251) }
      try scratch.write(
        PNG.encode(HostArray(pixels, shape: [3, height, width])), "\(index % 2)/\(index).png")
    }
  }

  private func load(
    isKept: Bool, _ change: (inout DataOptions) -> Void = { _ in }
  ) throws -> LoadedData {
    var options = DataOptions(testFraction: 0)
    options.imageSize = ImageSize(8)
    options.decodedLimit = 10 * 192 - (isKept ? 0 : 1)
    change(&options)
    return try DataSource.load(scratch.path, options: options)
  }

  @Test func areDecodedOnDemandAboveTheLimit() throws {
    let (kept, files) = (try load(isKept: true), try load(isKept: false))
    #expect(kept.train.pixels?.count == 1920 && files.train.pixels == nil)
    #expect(kept.notes.isEmpty && files.notes.count == 1)
    #expect(files.notes[0].contains("10 images of 8x8"))
    #expect(files.train.isDecodedOnDemand && files.train.pixelMaximum == 255)
  }

  @Test func areTheSameEitherWay() throws {
    let (kept, files) = (try load(isKept: true).train, try load(isKept: false).train)
    let features = try kept.features
    #expect(Set(features).count > 100)
    #expect(try files.features == features)
    #expect(files.labels == kept.labels && files.count == 10 && files.featureShape == [3, 8, 8])
    #expect(files.fingerprint == kept.fingerprint)
    #expect(try files.example(3).features == kept.example(3).features)
    #expect(try files.batch([7, 0, 7]).features == kept.batch([7, 0, 7]).features)
    let some = try (kept.subset([4, 1]), files.subset([4, 1]))
    #expect(try some.0.features == some.1.features && some.1.isDecodedOnDemand)
    #expect(some.0.fingerprint == some.1.fingerprint)
    #expect(some.0.fingerprint != kept.fingerprint)
    let joined = try some.1.appending(files)
    #expect(try joined.isDecodedOnDemand && joined.features == some.0.features + features)
    #expect(joined.fingerprint == (try some.0.appending(kept)).fingerprint)
    #expect(try some.0.appending(files).features == joined.features)
    for kind in [
      Preprocessing.Kind.standardizeChannels, .standardize, .minMax, .normalizeSample(.l2),
    ] {
      let fitted = try Preprocessing.fit(kind, on: files)
      #expect(try fitted == Preprocessing.fit(kind, on: kept))
      #expect(try fitted.applied(to: files).features == fitted.applied(to: kept).features)
    }
    let halves = try (kept, files).1.split(fraction: 0.4, key: RandomKey(1))
    #expect(try halves.part.features == kept.split(fraction: 0.4, key: RandomKey(1)).part.features)
  }

  /// The exact sums over bytes are those of the two passes over floats.
  @Test func fitsAsFloatsDo() throws {
    let kept = try load(isKept: true).train
    let floats = try Dataset(
      name: "floats", features: kept.features, featureShape: kept.featureShape)
    for kind in [Preprocessing.Kind.standardizeChannels, .standardize] {
      guard case .standardizeChannels(let means, let deviations) = try channels(kind, kept),
        case .standardizeChannels(let expected, let spreads) = try channels(kind, floats)
      else { return }
      // Sums of whole numbers are exact in both; only the deviations round differently.
      #expect(means == expected)
      #expect(zip(deviations, spreads).allSatisfy { abs($0 - $1) <= 2 * $1.ulp })
    }
  }

  private func channels(_ kind: Preprocessing.Kind, _ data: Dataset) throws -> Preprocessing {
    switch try Preprocessing.fit(kind, on: data) {
    case .standardize(let mean, let deviation):
      .standardizeChannels(mean: mean, deviation: deviation)
    case let other: other
    }
  }

  @Test func fingerprintsAreOfTheFiles() throws {
    let before = try load(isKept: false).train.fingerprint
    #expect(try load(isKept: false) { $0.imageSize = ImageSize(9) }.train.fingerprint != before)
    try scratch.write(
      PNG.encode(HostArray([UInt8](repeating: 9, count: 300), shape: [3, 10, 10])), "0/4.png")
    #expect(try load(isKept: false).train.fingerprint != before)
  }

  /// Stripes a pixel wide are even gray once scaled; in the file's own pixels they are there.
  @Test func resizedCropsComeFromTheFile() throws {
    let stripes = (0..<3 * 64 * 64).map { UInt8($0 % 2 == 0 ? 0 : 200) }
    try scratch.write(PNG.encode(HostArray(stripes, shape: [3, 64, 64])), "0/0.png")
    let augmentation = try Augmentation(parsing: "flip,resized-crop:0.01-0.02,color:0.1")
    for isKept in [true, false] {
      let data = try load(isKept: isKept).train
      let plain = try data.example(0).features
      #expect(plain.allSatisfy { abs($0 - 100) < 15 })
      var seen: Set<[Float]> = []
      for key in 0..<8 as Range<UInt64> {
        let image = try data.augmented(0, by: augmentation, key: RandomKey(key))
        #expect(image.shape == [3, 8, 8])
        // A crop of more than 8 pixels is scaled a little, which grays the stripes in part.
        let (low, high) = (image.values.min() ?? 255, image.values.max() ?? 0)
        #expect(high - low > 60)
        seen.insert(image.values)
        let other = try load(isKept: !isKept).train
        #expect(try other.augmented(0, by: augmentation, key: RandomKey(key)) == image)
      }
      #expect(seen.count == 8)
    }
    expectError("no example 10") {
      try load(isKept: true).train.augmented(10, by: augmentation, key: RandomKey(1))
    }
  }

  /// A photo of the right size needs no file, and is cropped as an image in memory is.
  @Test func cropsOfUnscaledPhotosAreThoseOfImages() throws {
    let bare = try Scratch()
    let pixels = (0..<3 * 12 * 16).map { UInt8($0 * 5 % 256) }
    try bare.write(PNG.encode(HostArray(pixels, shape: [3, 12, 16])), "a/1.png")
    let kept = try DataSource.load(bare.path, options: DataOptions(testFraction: 0)).train
    var options = DataOptions(testFraction: 0)
    options.decodedLimit = 0
    let files = try DataSource.load(bare.path, options: options).train
    let image = try Dataset(name: "image", pixels: pixels, imageShape: [3, 12, 16])
    for text in ["resized-crop:0.2-0.6,flip", "resized-crop:1-1", "rotate:20,crop:2"] {
      let augmentation = try Augmentation(parsing: text)
      for key in 0..<10 as Range<UInt64> {
        let expected = try image.augmented(0, by: augmentation, key: RandomKey(key))
        #expect(try kept.augmented(0, by: augmentation, key: RandomKey(key)) == expected)
        #expect(try files.augmented(0, by: augmentation, key: RandomKey(key)) == expected)
      }
    }
  }

  @Test func namesWhatCannotBeRead() throws {
    let data = try load(isKept: false).train
    let path = scratch.path + "/1/5.png"
    let whole = try FileContents.read(path)
    try scratch.write(Array(whole.prefix(whole.count / 2)), "1/5.png")
    let index = 5 + 2
    expectError("1/5.png") { try data.example(index) }
    expectError("1/5.png") { try data.features }
    expectError("1/5.png") { try Preprocessing.fit(.standardizeChannels, on: data) }
    #expect(try data.batch(Array(0..<index)).features.count == 192 * index)
    try FileManager.default.removeItem(atPath: path)
    expectError("1/5.png", "no such file") { try data.example(index) }
    expectError("1/5.png", "no such file") {
      try Dataset(name: "x", photos: [path], imageShape: [3, 8, 8])
    }
    expectError("[1 or 3, height, width]") {
      try Dataset(name: "x", photos: [], imageShape: [2, 8, 8])
    }
    expectError("image size") { try Dataset(name: "x", photos: [], imageShape: [3, 0, 8]) }
  }
}

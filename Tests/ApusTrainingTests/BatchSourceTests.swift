import Apus
import ApusTraining
import TestSupport
import Testing

struct BatchSourceTests {
  private func data() throws -> Dataset {
    try Dataset(
      name: "counting", features: (0..<7 * 6).map(Float.init), featureShape: [2, 3],
      labels: (0..<7).map { Int32($0 % 3) }, classNames: ["a", "b", "c"])
  }

  private func images(_ count: Int = 11) throws -> Dataset {
    try Dataset(
      name: "images", pixels: (0..<count * 48).map { UInt8($0 * 7 % 256) }, imageShape: [3, 4, 4],
      labels: (0..<count).map { Int32($0 % 3) }, classNames: ["a", "b", "c"])
  }

  /// Everything that an epoch's batches hold.
  private func contents(
    _ source: BatchSource, key: RandomKey = RandomKey(3), batchSize: Int = 3, from first: Int = 0
  ) throws -> [[Float]] {
    var batches = try source.batches(key: key, batchSize: batchSize, startingAt: first)
    var found: [[Float]] = []
    while let batch = try batches.next() {
      let labels = try batch.y.scalars(as: Int32.self).map { Float($0) }
      let second = try batch.mixed?.y.scalars(as: Int32.self).map { Float($0) } ?? []
      found.append(
        try batch.x.scalars() + labels + second + (batch.mixed.map { [$0.share] } ?? []))
      #expect(batch.count == labels.count && batch.x.shape.dropFirst().reduce(1, *) > 0)
    }
    #expect(try batches.next() == nil)
    return found
  }

  @Test(arguments: TestDevices.all)
  func streamedBatchesAreResidentBatches(device: Device) throws {
    let data = try data()
    let key = RandomKey(3)
    let order = Shuffle.permutation(count: data.count, key: key)
    let expected = try [0..<3, 3..<6, 6..<7].map { range in
      let batch = try data.batch(Array(order[range]))
      return batch.features + batch.labels.map { Float($0) }
    }
    for (workers, limit) in [(0, 1 << 30), (0, 0), (1, 0), (3, 0)] {
      let source = try BatchSource(data, workers: workers, on: device, residentLimit: limit)
      #expect(try contents(source) == expected)
      #expect(try contents(source, from: 1) == Array(expected.dropFirst()))
      #expect(try contents(source, from: 3) == [])
      for size in [3, 7, 100] {
        var batches = source.examples(batchSize: size)
        for start in stride(from: 0, to: 7, by: size) {
          let plain = try data.batch(Array(start..<min(start + size, 7)))
          let batch = try #require(try batches.next())
          #expect(batch.x.shape == [plain.labels.count, 2, 3])
          #expect(try batch.x.scalars() == plain.features)
          #expect(try batch.y.scalars(as: Int32.self) == plain.labels)
        }
        #expect(try batches.next() == nil)
      }
    }
  }

  /// Resident or streamed, bytes become the floats that the host would make of them.
  @Test(arguments: TestDevices.all)
  func bytesArePreprocessedOnTheDevice(device: Device) throws {
    let data = try images()
    for kind in [
      Preprocessing.Kind.none, .scale(by: 1 / 255), .standardizeChannels, .standardize,
      .normalizeSample(.l2),
    ] {
      let preprocessing = try Preprocessing.fit(kind, on: data)
      let resident = try BatchSource(data, preprocessing: preprocessing, on: device)
      let streamed = try BatchSource(
        data, preprocessing: preprocessing, workers: 2, on: device, residentLimit: 0)
      #expect(try contents(resident) == contents(streamed), "\(kind)")
      let whole = try preprocessing.applied(to: data).features
      var all = resident.examples(batchSize: 11)
      // A device may divide within 2.5 units in the last place (OpenCL 1.2, 7.4).
      #expect(
        zip(try #require(try all.next()).x.scalars(), whole)
          .allSatisfy { abs($0 - $1) <= 1e-6 * (1 + abs($1)) })
    }
  }

  @Test func augmentationIsTheSameForAllWorkers() throws {
    let data = try images(40)
    let augmentation = try Augmentation(
      parsing: "flip,crop:1,rotate:20,scale:0.8-1.2,color:0.3,cutout:2,mixup:0.4")
    let preprocessing = try Preprocessing.fit(.standardizeChannels, on: data)
    let sources = try [0, 1, 2, 4].map {
      try BatchSource(
        data, preprocessing: preprocessing, augmentation: augmentation, workers: $0,
        on: TestDevices.reference)
    }
    let first = try contents(sources[0])
    #expect(first.count == 14)
    for source in sources.dropFirst() {
      #expect(try contents(source) == first)
      // An epoch that goes on is the rest of the whole one.
      #expect(try contents(source, from: 9) == Array(first[9...]))
    }
    #expect(try contents(sources[1], key: RandomKey(4)) != first)
    // Without mixing, an example does not depend on the batch it is in.
    let single = try BatchSource(
      data, augmentation: Augmentation(parsing: "flip,crop:1,color:0.3"), workers: 2,
      on: TestDevices.reference)
    let (threes, ones) = (try contents(single), try contents(single, batchSize: 1))
    let flat = threes.flatMap { batch in
      (0..<batch.count / 49).flatMap { batch[$0 * 48..<($0 + 1) * 48] }
    }
    #expect(flat == ones.flatMap { $0.prefix(48) })
    // Evaluation sees the images as they are.
    var plain = single.examples(batchSize: 2)
    #expect(try plain.next()?.x.scalars() == data.batch([0, 1]).features)
  }

  /// Cut-out parts are what preprocessing turns into zeros.
  @Test func augmentationFillsWithTheMean() throws {
    let data = try images(5)
    let source = try BatchSource(
      data, preprocessing: Preprocessing.fit(.standardizeChannels, on: data),
      augmentation: Augmentation(parsing: "cutout:4096"), on: TestDevices.reference)
    var batches = try source.batches(key: RandomKey(1), batchSize: 5)
    #expect(try batches.next()?.x.scalars().allSatisfy { $0 == 0 } == true)
  }

  @Test func mixedLossesWeighBothLabels() throws {
    let device = TestDevices.reference
    let y = try Tensor([1, 2] as [Int32], on: device)
    let other = try Tensor([5, 9] as [Int32], on: device)
    let x = try Tensor.zeros([2, 1], on: device)
    func loss(_ y: Tensor) throws -> Tensor { try y.to(.float32).sum() }
    #expect(try Batch(x: x, y: y).loss(loss).scalars() == [3])
    let mixed = Batch(x: x, y: y, mixed: (other, 0.75))
    #expect(try mixed.loss(loss).scalars() == [0.75 * 3 + 0.25 * 14])
  }

  @Test func labelsAndImagesAreNeeded() throws {
    let bare = try Dataset(name: "bare", features: [1, 2], featureShape: [1])
    let error = #expect(throws: ApusError.self) {
      try BatchSource(bare, on: TestDevices.reference)
    }
    #expect(error?.operation == "bare")
    let table = #expect(throws: ApusError.self) {
      try BatchSource(
        data(), augmentation: Augmentation(parsing: "flip"), on: TestDevices.reference)
    }
    #expect(table?.message.contains("'flip' changes images") == true)
  }
}

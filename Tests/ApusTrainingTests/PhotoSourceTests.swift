import Apus
import ApusReference
import ApusTraining
import Foundation
import TestSupport
import Testing

/// Training from photos that are decoded in the loader.
struct PhotoSourceTests {
  private let folder: Folder
  private static let count = 30

  private final class Folder {
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("apus-photos-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  /// Two classes of photos of several sizes, with noise.
  init() throws {
    folder = Folder()
    for label in 0..<2 {
      try FileManager.default.createDirectory(
        atPath: "\(folder.path)/\(label)", withIntermediateDirectories: true)
    }
    for index in 0..<Self.count {
      let (height, width) = (16 + index % 5, 18 + index % 7)
      let pixels = (0..<3 * height * width).map {
        UInt8(($0 * 37 + index * 11) % 120 + index % 2 * 120)
      }
      try PNG.write(HostArray(pixels, shape: [3, height, width]), to: path(index))
    }
  }

  private func path(_ index: Int) -> String { "\(folder.path)/\(index % 2)/\(10 + index).png" }

  private func load(limit: Int) throws -> Dataset {
    var options = DataOptions(testFraction: 0)
    options.imageSize = ImageSize(12)
    options.decodedLimit = limit
    return try DataSource.load(folder.path, options: options).train
  }

  private func contents(_ batches: Batches) throws -> [[Float]] {
    var batches = batches
    var found: [[Float]] = []
    while let batch = try batches.next() {
      found.append(
        try batch.x.scalars() + batch.y.scalars(as: Int32.self).map { Float($0) })
    }
    return found
  }

  @Test(arguments: TestDevices.all)
  func batchesDoNotDependOnMemoryOrWorkers(device: Device) throws {
    let (kept, files) = (try load(limit: 1 << 30), try load(limit: 0))
    #expect(files.isDecodedOnDemand && !kept.isDecodedOnDemand)
    for kind in [Preprocessing.Kind.standardizeChannels, .standardize] {
      let preprocessing = try Preprocessing.fit(kind, on: files)
      for text in ["none", "flip,crop:2,color:0.2", "flip,resized-crop:0.3-0.8,mixup:0.3"] {
        let augmentation = try Augmentation(parsing: text)
        func source(_ data: Dataset, _ workers: Int) throws -> BatchSource {
          try BatchSource(
            data, preprocessing: preprocessing, augmentation: augmentation, workers: workers,
            on: device)
        }
        let first = try source(kept, 0)
        let expected = try contents(first.batches(key: RandomKey(7), batchSize: 4))
        #expect(expected.count == 8)
        for workers in [0, 1, 2, 4] {
          let other = try source(files, workers)
          #expect(try contents(other.batches(key: RandomKey(7), batchSize: 4)) == expected)
          let rest = try other.batches(key: RandomKey(7), batchSize: 4, startingAt: 5)
          #expect(try contents(rest) == Array(expected[5...]))
          #expect(
            try contents(other.examples(batchSize: 7)) == contents(first.examples(batchSize: 7)))
        }
      }
    }
  }

  private func train(_ data: Dataset, workers: Int) throws -> [Float] {
    let device = TestDevices.reference
    let (rest, held) = try data.split(fraction: 0.2, key: RandomKey(1))
    let model = Sequential([
      Flatten(), try Linear(432, 2, key: RandomKey(2), on: device),
    ])
    var options = TrainingOptions()
    options.epochs = 2
    options.batchSize = 4
    options.workers = workers
    options.augmentation = try Augmentation(parsing: "resized-crop:0.5-1,flip")
    let trainer = try Trainer(
      model: model, training: rest, validation: held,
      preprocessing: try Preprocessing.fit(.scale(by: 1 / 255), on: rest), options: options,
      device: device)
    var losses: [Float] = []
    try trainer.run(onEvent: { event in
      guard case .epoch(let epoch) = event else { return }
      losses += [Float(epoch.trainLoss), Float(epoch.validationLoss ?? .nan)]
    })
    return try losses + model.parameters().flatMap { try $0.value.scalars() }
  }

  @Test func trainingDoesNotDependOnMemoryOrWorkers() throws {
    let expected = try train(try load(limit: 1 << 30), workers: 0)
    #expect(expected.allSatisfy { $0.isFinite })
    for workers in [0, 1, 2, 4] {
      let found = try train(try load(limit: 0), workers: workers)
      #expect(found == expected)
    }
  }

  @Test(arguments: [0, 1, 3]) func aDamagedPhotoEndsTheRun(workers: Int) throws {
    let data = try load(limit: 0)
    let bytes = try FileContents.read(path(17))
    try Data(bytes.prefix(bytes.count / 2)).write(to: URL(fileURLWithPath: path(17)))
    let error = #expect(throws: ApusError.self) { try train(data, workers: workers) }
    #expect(error?.operation == path(17))
    // The batches before it come.
    let source = try BatchSource(data, workers: workers, on: TestDevices.reference)
    let place = Shuffle.permutation(count: Self.count, key: RandomKey(3))
      .firstIndex(of: 15 + 17 / 2)
    var batches = try source.batches(key: RandomKey(3), batchSize: 2)
    for _ in 0..<(place ?? 0) / 2 { #expect(try batches.next() != nil) }
    let second = #expect(throws: ApusError.self) { try batches.next() }
    #expect(second?.operation == path(17))
  }

  /// Two batches for each worker, whatever the number of photos.
  @Test(arguments: [1, 2]) func fewPhotosAreDecodedAtATime(workers: Int) throws {
    let device = Device(ReferenceBackend())
    let source = try BatchSource(try load(limit: 0), workers: workers, on: device)
    let before = device.counters.bytesInUse
    var batches = try source.batches(key: RandomKey(1), batchSize: 1)
    var most = 0
    for _ in 0..<Self.count {
      // Time for the workers to run ahead as far as they may.
      Thread.sleep(forTimeInterval: 5e-3)
      most = max(most, device.counters.bytesInUse - before)
      _ = try batches.next()
    }
    // The device keeps 432 bytes of pixels in a block of 512 and 4 of a label in one of 64.
    #expect(most >= 576 && most <= 2 * workers * 576, "\(most) bytes")
  }
}

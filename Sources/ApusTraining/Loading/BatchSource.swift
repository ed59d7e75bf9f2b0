import ApusData
import ApusDevice
import ApusTensor

/// Examples on their way to the device: preprocessed, and for training changed at random.
///
/// A data set that fits, and that is not augmented, is uploaded once and batches are gathered there.
/// Others are made ready and uploaded batch by batch, by threads that work ahead of the training. What
/// a batch holds follows from the epoch's key and the batch's place alone, not from the threads.
package struct BatchSource: Sendable {
  /// Examples kept on the device.
  struct Resident: Sendable {
    /// `[count] + exampleShape`; floats as the model takes them, or bytes before `normalization`.
    let features: Tensor
    let labels: Tensor
    let normalization: DeviceNormalization?

    /// The examples at `indices`.
    func taking(_ indices: Tensor) throws -> Tensor {
      let x = try features.take(indices)
      return try normalization?.apply(to: x) ?? x
    }

    func examples(_ range: Range<Int>) throws -> Tensor {
      let x = try features.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      return try normalization?.apply(to: x) ?? x
    }
  }

  private let maker: BatchMaker
  private let workers: Int
  private let device: Device
  private let resident: Resident?

  /// The most bytes that are kept on the device.
  package static let residentLimit = 1 << 30

  package var count: Int { maker.data.count }

  /// - Parameters:
  ///   - data: Labelled examples.
  ///   - preprocessing: Applied to them, after augmentation.
  ///   - augmentation: Applied in ``batches(key:batchSize:startingAt:)``; needs images
  ///     `[channels, height, width]`.
  ///   - workers: Threads that make batches; 0 makes them when they are asked for.
  /// - Throws: ``ApusError`` where labels are missing or shapes do not fit.
  package init(
    _ data: Dataset, preprocessing: Preprocessing = .none, augmentation: Augmentation = .none,
    workers: Int = 0, on device: Device, residentLimit: Int = BatchSource.residentLimit
  ) throws {
    guard data.labels.count == data.count else {
      throw ApusError(
        .data, operation: data.name, "the examples have no class labels, which are needed here")
    }
    maker = try BatchMaker(data, preprocessing: preprocessing, augmentation: augmentation)
    self.workers = workers
    self.device = device
    resident =
      augmentation.isNone
      ? try Resident(data, preprocessing: preprocessing, on: device, limit: residentLimit) : nil
  }

  /// The batches of one epoch.
  /// - Parameters:
  ///   - key: The epoch's: gives the order of the examples and what augmentation does to each.
  ///   - batchSize: The last batch may be smaller.
  ///   - first: The batch to begin with, where an epoch goes on.
  package func batches(key: RandomKey, batchSize: Int, startingAt first: Int = 0) throws -> Batches
  {
    let order = Shuffle.permutation(count: count, key: key)
    let size = min(max(batchSize, 1), max(count, 1))
    let all = stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
    let ranges = Array(all.dropFirst(max(first, 0)))
    if let resident {
      let indices = try Tensor(order.map { Int32(truncatingIfNeeded: $0) }, on: device)
      return Batches(resident, order: indices, ranges: ranges)
    }
    let skipped = all.count - ranges.count
    let prefetcher = Prefetcher<Batch>(count: ranges.count, workers: workers) {
      [maker, device] index, scratch in
      try maker.augmented(
        Array(order[ranges[index]]), key: key, batch: skipped + index, on: device, &scratch)
    }
    return Batches(prefetcher, ranges: ranges)
  }

  /// Examples in their own order and not augmented.
  package func batch(_ range: Range<Int>) throws -> (x: Tensor, y: Tensor) {
    if let resident {
      return (
        try resident.examples(range),
        try resident.labels.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      )
    }
    let batch = try maker.plain(Array(range), on: device)
    return (batch.x, batch.y)
  }
}

extension BatchSource.Resident {
  /// nil where the data is too large.
  init?(_ data: Dataset, preprocessing: Preprocessing, on device: Device, limit: Int) throws {
    let shape = [data.count] + data.featureShape
    if let pixels = data.pixels,
      let normalization = try DeviceNormalization(preprocessing, data.featureShape, on: device)
    {
      guard pixels.count <= limit else { return nil }
      features = try pixels.withUnsafeBytes {
        try Tensor(bytes: $0, shape: shape, dtype: .uint8, on: device)
      }
      self.normalization = normalization
    } else {
      guard data.count * data.featureCount * 4 <= limit else { return nil }
      features = try Tensor(
        try preprocessing.applied(to: data).features, shape: shape, on: device)
      normalization = nil
    }
    labels = try Tensor(data.labels, on: device)
  }
}

/// Preprocessing of bytes that the device can do while it gathers a batch: a factor, or mean and
/// deviation per channel.
struct DeviceNormalization: Sendable {
  private let factor: Float?
  private let channels: (mean: Tensor, deviation: Tensor)?

  /// nil for methods that are done on the host.
  init?(_ preprocessing: Preprocessing, _ shape: [Int], on device: Device) throws {
    switch preprocessing {
    case .none: (factor, channels) = (nil, nil)
    case .scale(let factor): (self.factor, channels) = (factor, nil)
    case .standardizeChannels(let mean, let deviation):
      guard mean.count == shape.first, deviation.count == mean.count else { return nil }
      factor = nil
      channels = (
        try Tensor(mean, shape: [1, mean.count, 1, 1], on: device),
        try Tensor(deviation, shape: [1, mean.count, 1, 1], on: device)
      )
    default: return nil
    }
  }

  func apply(to bytes: Tensor) throws -> Tensor {
    let x = try bytes.to(.float32)
    if let factor { return try x * Double(factor) }
    guard let channels else { return x }
    return try (x - channels.mean) / channels.deviation
  }
}

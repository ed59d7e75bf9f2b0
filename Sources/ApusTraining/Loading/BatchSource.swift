import ApusData
import ApusDevice
import ApusTensor

/// Examples on their way to the device: preprocessed, and for training changed at random.
///
/// A data set that fits, and that is not augmented, is uploaded once and batches are gathered there.
/// Others are made ready and uploaded batch by batch, by threads that work ahead of the training; photos
/// that are not kept in memory are decoded there, so that few of them are held at a time. What
/// a batch holds follows from the epoch's key and the batch's place alone, not from the threads. Rows of
/// tokens are uploaded batch by batch, with others of similar lengths.
package struct BatchSource: Sendable {
  /// Examples kept on the device.
  struct Resident: Sendable {
    /// `[count] + exampleShape`; floats as the model takes them, or bytes before `normalization`.
    let features: Tensor
    /// Class indices `[count]`, or real targets `[count, targets]`.
    let labels: Tensor
    let normalization: DeviceNormalization?

    /// The examples at `range` of an order; of their own order for nil.
    func batch(_ range: Range<Int>, of order: Tensor?) throws -> Batch {
      func part(_ whole: Tensor) throws -> Tensor {
        try whole.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      }
      let chosen = try order.map(part)
      func examples(_ whole: Tensor) throws -> Tensor {
        try chosen.map { try whole.take($0) } ?? part(whole)
      }
      return try Batch(x: examples(features), y: examples(labels))
        .normalized(by: normalization)
    }
  }

  private let maker: BatchMaker
  private let workers: Int
  private let device: Device
  private let resident: Resident?
  /// The number of steps of each example, and the order in which ``examples(batchSize:)`` gives them; nil
  /// where examples all have one shape, which are given in their own order.
  private let lengths: [Int]?
  let order: [Int]?
  /// Where bytes are uploaded as they are.
  private let normalization: DeviceNormalization?

  /// The most bytes that are kept on the device.
  package static let residentLimit = 1 << 30

  package var count: Int { maker.data.count }
  var featureCount: Int { maker.data.featureCount }

  /// - Parameters:
  ///   - data: Examples with labels or real targets.
  ///   - preprocessing: Applied to them, after augmentation.
  ///   - augmentation: Applied in ``batches(key:batchSize:startingAt:)``; needs images
  ///     `[channels, height, width]`.
  ///   - workers: Threads that make batches; 0 makes them when they are asked for.
  /// - Throws: ``ApusError`` where labels are missing, shapes do not fit, or examples are texts.
  package init(
    _ data: Dataset, preprocessing: Preprocessing = .none, augmentation: Augmentation = .none,
    workers: Int = 0, on device: Device, residentLimit: Int = BatchSource.residentLimit
  ) throws {
    guard data.labels.count == data.count || data.isRegression else {
      throw ApusError(
        .data, operation: data.name, "the examples have no class labels, which are needed here")
    }
    maker = try BatchMaker(data, preprocessing: preprocessing, augmentation: augmentation)
    self.workers = workers
    self.device = device
    lengths = data.lengths
    order = lengths.map { LengthBuckets.byLength(Array($0.indices), $0) }
    normalization =
      data.holdsBytes
      ? try DeviceNormalization(preprocessing, data.featureShape, on: device) : nil
    resident =
      augmentation.isNone
      ? try Resident(
        data, preprocessing: preprocessing, normalization, on: device, limit: residentLimit) : nil
  }

  /// The batches of one epoch.
  /// - Parameters:
  ///   - key: The epoch's: gives the order of the examples and what augmentation does to each.
  ///   - batchSize: The last batch may be smaller.
  ///   - first: The batch to begin with, where an epoch goes on.
  package func batches(key: RandomKey, batchSize: Int, startingAt first: Int = 0) throws -> Batches
  {
    if let lengths {
      let buckets = LengthBuckets.batches(lengths, batchSize: batchSize, key: key)
      return stream(Array(buckets.ranges.dropFirst(max(first, 0)))) { Array(buckets.order[$0]) }
    }
    let order = Shuffle.permutation(count: count, key: key)
    let all = ranges(batchSize)
    let ranges = Array(all.dropFirst(max(first, 0)))
    if let resident {
      let indices = try Tensor(order.map { Int32(truncatingIfNeeded: $0) }, on: device)
      return Batches(resident, order: indices, ranges: ranges)
    }
    guard maker.augments else { return stream(ranges) { Array(order[$0]) } }
    let skipped = all.count - ranges.count
    let prefetcher = Prefetcher<Batch>(count: ranges.count, workers: workers) {
      [maker, device] index, scratch in
      try maker.augmented(
        Array(order[ranges[index]]), key: key, batch: skipped + index, on: device, &scratch)
    }
    return Batches(prefetcher, normalization: nil, ranges: ranges)
  }

  /// All examples in their own order and not augmented; rows of tokens by their lengths.
  package func examples(batchSize: Int) -> Batches {
    let ranges = ranges(batchSize)
    if let order { return stream(ranges) { Array(order[$0]) } }
    return resident.map { Batches($0, order: nil, ranges: ranges) } ?? stream(ranges) { Array($0) }
  }

  /// What was found of the examples as ``examples(batchSize:)`` gives them, in their own order.
  func restored<Value>(_ found: [Value]) -> [Value] {
    guard let order else { return found }
    var result = found
    for (value, index) in zip(found, order) { result[index] = value }
    return result
  }

  private func ranges(_ batchSize: Int) -> [Range<Int>] {
    let size = min(max(batchSize, 1), max(count, 1))
    return stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }

  /// Batches of examples as they are.
  private func stream(
    _ ranges: [Range<Int>], _ indices: @escaping @Sendable (Range<Int>) -> [Int]
  ) -> Batches {
    let isRaw = normalization != nil
    let prefetcher = Prefetcher<Batch>(count: ranges.count, workers: workers) {
      [maker, device] index, scratch in
      try maker.plain(indices(ranges[index]), isRaw: isRaw, on: device, &scratch)
    }
    return Batches(prefetcher, normalization: normalization, ranges: ranges)
  }
}

extension BatchSource.Resident {
  /// nil where the data is too large, or not in memory at all.
  init?(
    _ data: Dataset, preprocessing: Preprocessing, _ normalization: DeviceNormalization?,
    on device: Device, limit: Int
  ) throws {
    guard !data.isDecodedOnDemand, !data.holdsTokens else { return nil }
    let shape = [data.count] + data.featureShape
    self.normalization = normalization
    if normalization != nil, let pixels = data.pixels {
      guard pixels.count <= limit else { return nil }
      features = try pixels.withUnsafeBytes {
        try Tensor(bytes: $0, shape: shape, dtype: .uint8, on: device)
      }
    } else {
      guard data.count * data.featureCount * 4 <= limit else { return nil }
      features = try Tensor(
        try preprocessing.applied(to: data).features, shape: shape, on: device)
    }
    labels =
      try data.targets.map { try Tensor($0, shape: [data.count, data.targetCount], on: device) }
      ?? Tensor(data.labels, on: device)
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

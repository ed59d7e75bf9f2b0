import ApusData
import ApusDevice
import ApusTensor

/// Makes batches on the host: examples, augmentation, preprocessing, mixing, upload.
struct BatchMaker: Sendable {
  let data: Dataset
  private let preprocessing: Preprocessing
  private let augmentation: Augmentation
  /// What augmentation fills up with: the channel means, which preprocessing turns into zeros, or 0.
  private let background: [Float]?
  private let maximum: Float

  var augments: Bool { !augmentation.isNone }

  /// - Throws: ``ApusError`` where images are needed and the examples are none.
  init(_ data: Dataset, preprocessing: Preprocessing, augmentation: Augmentation) throws {
    guard augmentation.steps.isEmpty || data.featureShape.count == 3 else {
      throw ApusError(
        .shape, operation: data.name,
        "examples have shape \(data.featureShape); '\(augmentation)' changes images "
          + "[channels, height, width]")
    }
    guard preprocessing == .none || !(data.holdsTokens || data.texts != nil) else {
      throw ApusError(
        .value, operation: data.name, "tokens are no quantities; their preprocessing must be none")
    }
    self.data = data
    self.preprocessing = preprocessing
    self.augmentation = augmentation
    maximum = augmentation.steps.isEmpty ? 255 : data.pixelMaximum
    let background = preprocessing.background
    self.background = background?.count == data.featureShape.first ? background : nil
  }

  /// Examples as they are, but for preprocessing.
  /// - Parameter isRaw: Bytes before preprocessing, which is left to the device.
  func plain(
    _ indices: [Int], isRaw: Bool, on device: Device, _ scratch: inout [Float]
  ) throws -> Batch {
    if data.holdsTokens {
      let (tokens, lengths) = try data.tokenBatch(indices)
      return Batch(
        x: try Tensor(tokens, shape: [indices.count, lengths.max() ?? 0], on: device),
        y: try Tensor(indices.map { data.labels[$0] }, on: device), lengths: lengths)
    }
    guard isRaw else {
      try preprocessing.fill(&scratch, with: indices, of: data)
      return try batch(scratch, indices, on: device)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(indices.count * data.featureCount)
    for index in indices { try data.append(index, to: &bytes) }
    let x = try bytes.withUnsafeBytes {
      try Tensor(
        bytes: $0, shape: [indices.count] + data.featureShape, dtype: .uint8, on: device)
    }
    return Batch(x: x, y: try truth(indices, on: device))
  }

  /// Examples as training sees them.
  /// - Parameters:
  ///   - key: Of the epoch; an example's key follows from it and the example's index.
  ///   - batch: The batch's place in the epoch, for what concerns it as a whole.
  ///   - scratch: Memory to use again.
  func augmented(
    _ indices: [Int], key: RandomKey, batch: Int, on device: Device, _ scratch: inout [Float]
  ) throws -> Batch {
    let key = key.folded(0x6175_676D)
    let exampleKey = key.folded(0)
    try fill(&scratch, indices) { index, values in
      guard !augmentation.steps.isEmpty else { return try data.append(index, to: &values) }
      let image = try data.augmented(
        index, by: augmentation, key: exampleKey.folded(UInt64(index)), background: background,
        maximum: maximum)
      values.append(contentsOf: image.values)
    }
    guard let mixup = augmentation.mixup else {
      return try self.batch(scratch, indices, on: device)
    }
    let pairing = mixup.pairing(count: indices.count, key: key.folded(1).folded(UInt64(batch)))
    Mixup.mix(&scratch, size: data.featureCount, pairing)
    let partners = try truth(pairing.partners.map { indices[$0] }, on: device)
    return try self.batch(scratch, indices, mixed: (y: partners, share: pairing.share), on: device)
  }

  private func fill(
    _ values: inout [Float], _ indices: [Int],
    _ append: (_ index: Int, _ values: inout [Float]) throws -> Void
  ) throws {
    values.removeAll(keepingCapacity: true)
    values.reserveCapacity(indices.count * data.featureCount)
    for index in indices { try append(index, &values) }
    try preprocessing.apply(&values, featureCount: data.featureCount)
  }

  private func batch(
    _ values: [Float], _ indices: [Int], mixed: (y: Tensor, share: Float)? = nil, on device: Device
  ) throws -> Batch {
    Batch(
      x: try Tensor(values, shape: [indices.count] + data.featureShape, on: device),
      y: try truth(indices, on: device), mixed: mixed)
  }

  /// What is to be learnt of examples: class indices `[count]`, or real targets `[count, targets]`.
  private func truth(_ indices: [Int], on device: Device) throws -> Tensor {
    guard data.isRegression else {
      return try Tensor(indices.map { data.labels[$0] }, on: device)
    }
    return try Tensor(
      data.batchTargets(indices), shape: [indices.count, data.targetCount], on: device)
  }
}

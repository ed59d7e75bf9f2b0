import ApusData
import ApusDevice
import ApusTensor

/// Examples on their way to the device.
///
/// A data set that fits is uploaded once and batches are gathered there; a larger one is uploaded
/// batch by batch.
package struct BatchSource: Sendable {
  private let features: [Float]
  private let labels: [Int32]
  private let exampleShape: [Int]
  private let device: Device
  private let resident: (features: Tensor, labels: Tensor)?

  /// The most bytes that are kept on the device.
  package static let residentLimit = 1 << 30

  package let count: Int

  package init(_ data: Dataset, on device: Device, residentLimit: Int = BatchSource.residentLimit)
    throws
  {
    guard data.labels.count == data.count else {
      throw ApusError(
        .data, operation: data.name, "the examples have no class labels, which are needed here")
    }
    features = data.features
    labels = data.labels
    exampleShape = data.featureShape
    count = data.count
    self.device = device
    resident =
      data.features.count * 4 <= residentLimit
      ? (
        try Tensor(data.features, shape: [data.count] + data.featureShape, on: device),
        try Tensor(data.labels, on: device)
      ) : nil
  }

  /// An order of all examples, ready for batches.
  package struct Order: Sendable {
    let indices: [Int]
    /// The same for the device; nil where batches are uploaded one by one.
    package let onDevice: Tensor?
  }

  package func order(_ indices: [Int]) throws -> Order {
    Order(
      indices: indices,
      onDevice: resident == nil
        ? nil : try Tensor(indices.map { Int32(truncatingIfNeeded: $0) }, on: device))
  }

  /// Examples `range` of an order.
  package func batch(_ range: Range<Int>, of order: Order) throws -> (x: Tensor, y: Tensor) {
    if let resident, let indices = order.onDevice {
      let chosen = try indices.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      return (try resident.features.take(chosen), try resident.labels.take(chosen))
    }
    let size = exampleShape.reduce(1, *)
    var values: [Float] = []
    values.reserveCapacity(range.count * size)
    for index in order.indices[range] {
      values.append(contentsOf: features[index * size..<(index + 1) * size])
    }
    let classes = order.indices[range].map { labels[$0] }
    return (
      try Tensor(values, shape: [range.count] + exampleShape, on: device),
      try Tensor(classes, on: device)
    )
  }

  /// Examples in their own order, a view where they are on the device.
  package func batch(_ range: Range<Int>) throws -> (x: Tensor, y: Tensor) {
    if let resident {
      return (
        try resident.features.slice(axis: 0, start: range.lowerBound, end: range.upperBound),
        try resident.labels.slice(axis: 0, start: range.lowerBound, end: range.upperBound)
      )
    }
    return try batch(range, of: Order(indices: Array(0..<count), onDevice: nil))
  }
}

import ApusDevice
import ApusTensor

/// A table of vectors that indices choose from; `weight` is `[count, size]`.
///
/// Names and defaults are those of `torch.nn.Embedding`: standard normal values, zeros at the padding
/// index. The gradient adds up in the order of the indices, so it has the same bits on every run.
public struct Embedding: Layer {
  public let weight: Parameter
  /// The index whose vector gets no gradient.
  public let paddingIndex: Int?

  /// - Parameters:
  ///   - count: Number of vectors.
  ///   - size: Length of a vector.
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a size is not positive or the padding index is no index.
  public init(
    _ count: Int, _ size: Int, paddingIndex: Int? = nil, initializer: Initializer? = nil,
    key: RandomKey, on device: Device
  ) throws {
    guard count > 0, size > 0, count <= Int(Int32.max), size <= 1 << 24, count * size <= 1 << 31
    else {
      throw ApusError(
        .value, operation: "Embedding",
        "count \(count) and size \(size) must be positive, with at most 2³¹ values")
    }
    let values = initializer ?? .normal(mean: 0, standardDeviation: 1)
    var table = try values.values([count, size], key: key)
    if let paddingIndex, paddingIndex >= 0, paddingIndex < count {
      for place in paddingIndex * size..<(paddingIndex + 1) * size { table[place] = 0 }
    }
    try self.init(
      weight: Parameter(try Tensor(table, shape: [count, size], on: device)),
      paddingIndex: paddingIndex)
  }

  /// A layer of a given table.
  public init(weight: Parameter, paddingIndex: Int? = nil) throws {
    if let paddingIndex, paddingIndex < 0 || paddingIndex >= weight.shape[0] {
      throw ApusError(
        .value, operation: "Embedding",
        "the padding index \(paddingIndex) is not within 0..<\(weight.shape[0])")
    }
    self.weight = weight
    self.paddingIndex = paddingIndex
  }

  /// - Parameter x: Indices of any shape: `int32`, or whole numbers in `float32` as data sets hold them.
  /// - Returns: The shape of `x` with `size` behind it. An index outside the table is an error, at the
  ///   latest when the result is read.
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    let indices = x.dtype == .int32 ? x : try x.to(.int32)
    let vectors = try context[weight].take(indices)
    guard let paddingIndex, vectors.isWatched else { return vectors }
    // The padding's vectors, seen by no tape.
    let isPadding = try indices .== Tensor(Int32(clamping: paddingIndex), on: x.device)
    return try .select(where: isPadding.unsqueezed(axis: -1), vectors.detached, vectors)
  }
}

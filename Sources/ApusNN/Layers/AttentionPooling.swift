import ApusDevice
import ApusTensor

/// A sequence as the mean of its steps, weighted by how well each fits a learned query (Yang et al.
/// 2016): `α = softmax(query · tanh(projection(x)))` over the steps, `y = Σ α x`.
public struct AttentionPooling: SequenceLayer {
  public let projection: Linear
  /// `[attentionSize]`.
  public let query: Parameter
  /// Whether inputs are `[B, T, F]` rather than `[T, B, F]`.
  public let batchFirst: Bool

  /// - Parameters:
  ///   - attentionSize: The width in which steps meet the query; that of the input for nil.
  ///   - key: Gives the first values: those of a ``Linear`` for both parts.
  public init(
    _ features: Int, attentionSize: Int? = nil, batchFirst: Bool = false, key: RandomKey,
    on device: Device
  ) throws {
    let keys = key.split(2)
    let width = attentionSize ?? features
    let projection = try Linear(features, width, key: keys[0], on: device)
    let bound = 1 / Float(width).squareRoot()
    let query = try Initializer.uniform(low: -bound, high: bound).tensor(
      [width], key: keys[1], on: device)
    self.init(projection: projection, query: Parameter(query), batchFirst: batchFirst)
  }

  /// A layer of given parameters.
  public init(projection: Linear, query: Parameter, batchFirst: Bool = false) {
    self.projection = projection
    self.query = query
    self.batchFirst = batchFirst
  }

  /// - Parameters:
  ///   - x: `[T, B, F]`, or `[B, T, F]` with `batchFirst`; `T` is at least 1.
  ///   - lengths: How many steps of each row count, `1...T`; all for nil.
  /// - Returns: `[B, F]`.
  public func callAsFunction(
    _ x: Tensor, lengths: [Int]?, _ context: Context
  ) throws -> Tensor {
    guard x.rank == 3, x.shape[2] == projection.inFeatures, x.shape[batchFirst ? 1 : 0] > 0 else {
      throw ApusError(
        .shape, operation: "AttentionPooling",
        "takes \(batchFirst ? "[B, T, " : "[T, B, ")\(projection.inFeatures)] with at least one "
          + "step, not \(x.shape)")
    }
    let sequence = batchFirst ? x : try x.transposed(0, 1)
    let hidden = try projection(sequence, activation: .tanh, context)
    var scores = try hidden.matmul(try context[query])
    if let lengths {
      scores = try .select(
        where: try validSteps(lengths, sequence.shape, "AttentionPooling", on: x.device), scores,
        Tensor(-Float.infinity, on: x.device))
    }
    let shares = try scores.softmax(axis: 1)
    return try shares.unsqueezed(axis: 1).matmul(sequence).squeezed(axis: 1)
  }
}

/// Which steps lie within a row's length, `bool[B, T]`, for a batch `[B, T, …]`.
func validSteps(
  _ lengths: [Int], _ shape: [Int], _ operation: String, on device: Device
) throws -> Tensor {
  let (rows, steps) = (shape[0], shape[1])
  guard lengths.count == rows else {
    throw ApusError(
      .shape, operation: operation, "there are \(lengths.count) lengths for \(rows) rows")
  }
  if let row = lengths.firstIndex(where: { $0 < 1 || $0 > steps }) {
    throw ApusError(
      .value, operation: operation,
      "the length of row \(row) is \(lengths[row]); it must be within 1...\(steps)")
  }
  let limits = try Tensor(lengths.map { Int32(clamping: $0) }, shape: [rows, 1], on: device)
  let times = try Tensor.arange(0, Double(steps), dtype: .int32, on: device)
  return try times .< limits
}

import ApusDevice
import ApusTensor

/// The axes of each example in another order.
public struct Permute: Layer {
  /// For each new axis after the batch axis the old one, counted from 1.
  public let axes: [Int]

  public init(axes: [Int]) { self.axes = axes }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.permuted([0] + axes)
  }
}

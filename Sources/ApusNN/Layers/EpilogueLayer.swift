import ApusDevice
import ApusTensor

/// A layer that can add a tensor to its result and apply a function to the sum, in its own pass where
/// the device can.
///
/// ``Sequential``, ``Residual`` and ``GraphModel`` hand such a layer the additions and activations
/// that follow it.
public protocol EpilogueLayer: Layer {
  /// `activation(layer(x) + addend)`.
  /// - Parameter addend: Of the result's shape.
  func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor
}

extension EpilogueLayer {
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try self(x, addend: nil, activation: nil, context)
  }
}

extension Tensor {
  /// The addition and the activation as operations of their own.
  func finished(addend: Tensor?, activation: UnaryOp?) throws -> Tensor {
    let sum = try addend.map { try self + $0 } ?? self
    return try activation.map { try sum.unary($0) } ?? sum
  }
}

/// A layer that knows the shape it gives.
protocol ShapedLayer: Layer {
  /// The shape of one result for one example, both without batch axis.
  /// - Throws: ``ApusError`` where the layer does not take such examples.
  func outputShape(of input: [Int]) throws -> [Int]
}

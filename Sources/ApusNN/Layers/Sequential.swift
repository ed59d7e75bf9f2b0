import ApusDevice
import ApusTensor

/// Layers one after the other; parameters are named by position: `0.weight`.
///
/// A ``Linear`` followed by an activation runs as one operation.
public struct Sequential: Layer {
  public let layers: [any Layer]

  public init(_ layers: [any Layer]) { self.layers = layers }

  public func namedParameters() -> [NamedParameter] {
    layers.enumerated().flatMap { index, layer in
      layer.namedParameters().map {
        NamedParameter(name: "\(index).\($0.name)", parameter: $0.parameter)
      }
    }
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    var x = x
    var index = 0
    while index < layers.count {
      let layer = layers[index]
      index += 1
      if let linear = layer as? Linear, index < layers.count,
        let activation = layers[index] as? any ActivationLayer
      {
        x = try linear(x, activation: activation.function, context)
        index += 1
      } else {
        x = try layer(x, context)
      }
    }
    return x
  }
}

import ApusDevice
import ApusTensor

/// Layers one after the other; parameters are named by position: `0.weight`.
///
/// An ``EpilogueLayer`` such as ``Linear``, ``Conv2d`` or ``BatchNorm2d`` and an activation after it run
/// as one operation.
public struct Sequential: EpilogueLayer {
  public let layers: [any Layer]

  public init(_ layers: [any Layer]) { self.layers = layers }

  public func namedParameters() -> [NamedParameter] {
    layers.enumerated().flatMap { index, layer in
      layer.namedParameters().map {
        NamedParameter(name: "\(index).\($0.name)", parameter: $0.parameter)
      }
    }
  }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    guard !layers.isEmpty else { return try x.finished(addend: addend, activation: activation) }
    var x = x
    var index = 0
    while index < layers.count {
      let layer = layers[index]
      index += 1
      if index == layers.count, addend != nil || activation != nil {
        guard let layer = layer as? any EpilogueLayer else {
          return try layer(x, context).finished(addend: addend, activation: activation)
        }
        return try layer(x, addend: addend, activation: activation, context)
      }
      if let layer = layer as? any EpilogueLayer, index < layers.count,
        let function = (layers[index] as? any ActivationLayer)?.function
      {
        let isLast = index + 1 == layers.count
        x = try layer(x, addend: nil, activation: function, context)
        index += 1
        if isLast { return try x.finished(addend: addend, activation: activation) }
      } else {
        x = try layer(x, context)
      }
    }
    return x
  }
}

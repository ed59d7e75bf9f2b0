import ApusDevice
import ApusTensor

extension GraphModel {
  /// A two-dimensional convolution and where its feature map ends.
  public struct FeatureLayer: Sendable, Hashable {
    /// The name of the `Conv2d`.
    public let convolution: String
    /// The last layer after it that normalises, adds or activates and whose predecessors nobody else
    /// reads: the map as the next stage sees it.
    public let result: String
    /// `[channels, height, width]`.
    public let shape: [Int]
  }

  /// The convolutions over images, in their order.
  public var featureLayers: [FeatureLayer] {
    var readers = [[Int]](repeating: [], count: nodes.count)
    for (index, node) in nodes.enumerated() {
      for source in node.inputs where source >= inputs.count {
        readers[source - inputs.count].append(index)
      }
    }
    return nodes.indices.compactMap { index in
      guard nodes[index].type == "Conv2d" else { return nil }
      var end = index
      while readers[end].count == 1, nodes[readers[end][0]].keepsFeatures { end = readers[end][0] }
      return FeatureLayer(
        convolution: nodes[index].name, result: nodes[end].name, shape: nodes[end].outputShape)
    }
  }
}

extension GraphModel.Node {
  fileprivate var keepsFeatures: Bool {
    switch built.kind {
    case .epilogue(let layer, _): layer is BatchNorm2d
    case .add: true
    case .layer(let layer): layer is any ActivationLayer
    default: false
    }
  }
}

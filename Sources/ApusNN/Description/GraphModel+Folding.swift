import ApusDevice
import ApusTensor

extension GraphModel {
  /// The model for evaluation with its batch normalisations folded into the layers before them: each
  /// output channel's weights are scaled by `weight / √(running_var + ε)` and its bias is shifted
  /// (Jacob et al. 2018, section 3.2). Results differ by rounding alone.
  ///
  /// A normalisation is folded where it alone reads a convolution or a linear layer without an
  /// activation of its own. The values are those of this moment; this model stays as it is.
  public func folded() throws -> GraphModel {
    var readers: [String: Int] = [:]
    for node in nodes {
      for source in node.inputs { readers[name(of: source), default: 0] += 1 }
    }
    for output in description.outputs ?? [] { readers[output, default: 0] += 1 }
    var state = state()
    // Folded normalisations, and the layers that stand for them.
    var standIn: [String: String] = [:]
    for node in nodes {
      guard let norm = node.norm, let mean = norm.runningMean,
        let variance = norm.runningVariance, case let source = node.inputs[0] - inputs.count,
        source >= 0, nodes[source].isFoldable, readers[nodes[source].name] == 1
      else { continue }
      let layer = nodes[source]
      let weight = layer.name + ".weight"
      let bias = layer.name + ".bias"
      guard let kernel = state[weight] else { continue }
      var scale = try (variance.value + Double(norm.epsilon)).rsqrt()
      if let gain = norm.weight { scale = try scale * gain.value }
      let perChannel = [norm.channels] + [Int](repeating: 1, count: kernel.rank - 1)
      state[weight] = try (kernel * scale.reshaped(perChannel)).contiguous()
      let centre = try state[bias].map { try $0 - mean.value } ?? mean.value * -1
      let shift = try centre * scale
      state[bias] = try norm.bias.map { try shift + $0.value } ?? shift
      for part in norm.namedParameters() { state["\(node.name).\(part.name)"] = nil }
      standIn[node.name] = layer.name
    }
    guard !standIn.isEmpty else { return self }
    return try GraphModel(description(folding: standIn), state: state)
  }

  private func name(of place: Int) -> String {
    place < inputs.count ? inputs[place].name : nodes[place - inputs.count].name
  }

  private func description(folding standIn: [String: String]) -> ModelDescription {
    func resolved(_ name: String) -> String { standIn[name] ?? name }
    let folded = Set(standIn.values)
    var result = description
    result.outputs = (description.outputs ?? [nodes[nodes.count - 1].name]).map(resolved)
    result.layers = zip(description.layers, nodes).compactMap { layer, node in
      guard standIn[node.name] == nil else { return nil }
      var layer = layer
      layer.inputs = node.inputs.map { resolved(name(of: $0)) }
      if folded.contains(node.name) { layer.attributes["bias"] = true }
      return layer
    }
    return result
  }
}

extension GraphModel.Node {
  fileprivate var norm: BatchNorm? {
    guard case .epilogue(let layer, _) = built.kind else { return nil }
    return (layer as? BatchNorm2d)?.norm ?? (layer as? BatchNorm1d)?.norm
  }

  /// Whether axis 0 of the weight, and the bias, are the channels that a normalisation sees.
  fileprivate var isFoldable: Bool {
    guard case .epilogue(let layer, nil) = built.kind else { return false }
    return layer is Conv2d || layer is Conv1d || (layer is Linear && outputShape.count == 1)
  }
}

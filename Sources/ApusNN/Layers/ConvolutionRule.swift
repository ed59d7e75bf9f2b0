import ApusDevice
import ApusTensor

/// What all convolutions check and how they begin.
struct ConvolutionRule {
  let layer: String
  let inChannels: Int
  let outChannels: Int
  let groups: Int

  /// - Throws: ``ApusError`` where channels are not positive, or do not fall into groups.
  func validate() throws {
    for (name, value) in [
      ("inChannels", inChannels), ("outChannels", outChannels), ("groups", groups),
    ] where !(1...WindowRule.largest).contains(value) {
      throw ApusError(
        .value, operation: layer,
        "\(name) is \(value); it must be within 1...\(WindowRule.largest)")
    }
    guard inChannels % groups == 0, outChannels % groups == 0 else {
      throw ApusError(
        .value, operation: layer,
        "groups \(groups) must divide both inChannels \(inChannels) and outChannels \(outChannels)")
    }
  }

  /// Refuses weights whose size is a mistake.
  func requireSensible(weight shape: [Int]) throws {
    guard ModelDescription.isSensible(shape) else {
      throw ApusError(.value, operation: layer, "a weight of shape \(shape) is too large")
    }
  }

  /// First values as in PyTorch: Kaiming-uniform with `a = √5`, which is uniform within `±1/√fanIn`;
  /// the bias from the same range.
  func parameters(
    weight shape: [Int], bias: Bool, initializer: Initializer?, key: RandomKey, on device: Device
  ) throws -> (weight: Parameter, bias: Parameter?) {
    try requireSensible(weight: shape)
    let keys = key.split(2)
    let fanIn = Float(shape.dropFirst().reduce(1, *))
    let bound = 1 / fanIn.squareRoot()
    let spread = Initializer.uniform(low: -bound, high: bound)
    return (
      Parameter(try (initializer ?? spread).tensor(shape, key: keys[0], on: device)),
      bias ? Parameter(try spread.tensor([outChannels], key: keys[1], on: device)) : nil
    )
  }

  /// Whether given parameters have the shapes of the layer.
  func requireShapes(_ weight: Parameter, _ shape: [Int], _ bias: Parameter?) throws {
    guard weight.shape == shape, bias.map({ $0.shape == [outChannels] }) ?? true else {
      throw ApusError(
        .shape, operation: layer,
        "weight \(weight.shape) and bias \(bias?.shape ?? []) must be \(shape) and [\(outChannels)]"
      )
    }
  }
}

extension ConvolutionPadding {
  /// The same number of zeros on all four sides.
  public static func zeros(_ count: Int) -> ConvolutionPadding {
    .zeros(height: count, width: count)
  }

  /// What lies before and after each axis. `same` puts an odd zero after, as PyTorch does.
  func sides(
    kernel: Size2D, dilation: Size2D
  ) -> (height: (before: Int, after: Int), width: (before: Int, after: Int)) {
    func same(_ kernel: Int, _ dilation: Int) -> (before: Int, after: Int) {
      // Out-of-range numbers are refused before their result is used.
      let total = Swift.max(0, dilation.multipliedReportingOverflow(by: kernel &- 1).partialValue)
      return (total / 2, total - total / 2)
    }
    switch self {
    case .valid: return ((0, 0), (0, 0))
    case .same:
      return (same(kernel.height, dilation.height), same(kernel.width, dilation.width))
    case .zeros(let height, let width): return ((height, height), (width, width))
    case .sides(let top, let bottom, let left, let right): return ((top, bottom), (left, right))
    }
  }
}

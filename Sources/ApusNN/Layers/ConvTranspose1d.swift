import ApusDevice
import ApusTensor

/// ``ConvTranspose2d`` over sequences: `[N, inChannels, L]` to `[N, outChannels, L′]`.
///
/// `weight` is `[inChannels, outChannels / groups, kernelSize]`, `bias` `[outChannels]`. Names,
/// layouts, defaults and initialisation are those of `torch.nn.ConvTranspose1d`.
public struct ConvTranspose1d: Layer {
  public let weight: Parameter
  public let bias: Parameter?
  public let stride: Int
  public let padding: Int
  public let outputPadding: Int
  public let groups: Int
  public let dilation: Int

  /// - Parameter key: Gives the first values.
  /// - Throws: ``ApusError`` where a number is out of range or `groups` does not divide the channels.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Int, stride: Int = 1, padding: Int = 0,
    outputPadding: Int = 0, groups: Int = 1, bias: Bool = true, dilation: Int = 1,
    initializer: Initializer? = nil, key: RandomKey, on device: Device
  ) throws {
    let rule = ConvolutionRule(
      layer: "ConvTranspose1d", inChannels: inChannels, outChannels: outChannels, groups: groups)
    try rule.validate()
    try Self.rule(kernelSize, stride, padding, outputPadding, dilation).validate()
    let parameters = try rule.parameters(
      weight: [inChannels, outChannels / groups, kernelSize], bias: bias, initializer: initializer,
      key: key, on: device)
    try self.init(
      weight: parameters.weight, bias: parameters.bias, stride: stride, padding: padding,
      outputPadding: outputPadding, groups: groups, dilation: dilation)
  }

  /// A layer of given parameters.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    weight: Parameter, bias: Parameter? = nil, stride: Int = 1, padding: Int = 0,
    outputPadding: Int = 0, groups: Int = 1, dilation: Int = 1
  ) throws {
    let shape = weight.shape
    guard shape.count == 3, groups > 0, shape[0] % groups == 0,
      bias.map({ $0.shape == [shape[1] * groups] }) ?? true
    else {
      throw ApusError(
        .shape, operation: "ConvTranspose1d",
        "weight \(shape) must be [in, out / groups, kernel] with groups \(groups) dividing in, and "
          + "bias \(bias.map { "\($0.shape)" } ?? "none") [out]")
    }
    try Self.rule(shape[2], stride, padding, outputPadding, dilation).validate()
    self.weight = weight
    self.bias = bias
    self.stride = stride
    self.padding = padding
    self.outputPadding = outputPadding
    self.groups = groups
    self.dilation = dilation
  }

  public var inChannels: Int { weight.shape[0] }
  public var outChannels: Int { weight.shape[1] * groups }
  public var kernelSize: Int { weight.shape[2] }

  private static func rule(
    _ kernel: Int, _ stride: Int, _ padding: Int, _ outputPadding: Int, _ dilation: Int
  ) -> TransposedRule {
    TransposedRule(
      "ConvTranspose1d", Size2D(1, kernel), Size2D(1, stride), Size2D(0, padding),
      Size2D(0, outputPadding), Size2D(1, dilation))
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.convTranspose1d(
      weight: try context[weight], bias: try bias.map { try context[$0] }, stride: stride,
      padding: padding, outputPadding: outputPadding, dilation: dilation, groups: groups)
  }
}

extension ConvTranspose1d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 2 else {
      throw ApusError.axes("ConvTranspose1d", "[channels, length]", input)
    }
    guard input[0] == inChannels else {
      throw ApusError.channels("ConvTranspose1d", inChannels, input)
    }
    let (_, width) = try Self.rule(kernelSize, stride, padding, outputPadding, dilation)
      .output(height: 1, width: input[1])
    return [outChannels, width]
  }
}

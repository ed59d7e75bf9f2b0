import ApusDevice
import ApusTensor

/// A convolution (cross-correlation) over images: `[N, inChannels, H, W]` to `[N, outChannels, H′, W′]`.
///
/// `weight` is `[outChannels, inChannels / groups, kernel height, kernel width]`, `bias`
/// `[outChannels]`. Names, layouts, defaults and initialisation are those of `torch.nn.Conv2d`:
/// `H′ = ⌊(H + padding − dilation · (kernel − 1) − 1) / stride⌋ + 1`.
public struct Conv2d: EpilogueLayer {
  public let weight: Parameter
  public let bias: Parameter?
  public let stride: Size2D
  public let padding: ConvolutionPadding
  public let dilation: Size2D
  public let groups: Int
  /// What stands beyond the edge.
  public let paddingMode: PaddingMode

  /// - Parameters:
  ///   - kernelSize: A number for square kernels, or `Size2D(height, width)`.
  ///   - groups: The channels fall into so many groups that do not mix; `inChannels` of them make a
  ///     depthwise convolution.
  ///   - initializer: For the weight; PyTorch's default for nil.
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a number is out of range or `groups` does not divide the channels.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Size2D, stride: Size2D = 1,
    padding: ConvolutionPadding = .valid, dilation: Size2D = 1, groups: Int = 1,
    bias: Bool = true, paddingMode: PaddingMode = .constant(0), initializer: Initializer? = nil,
    key: RandomKey, on device: Device
  ) throws {
    let rule = ConvolutionRule(
      layer: "Conv2d", inChannels: inChannels, outChannels: outChannels, groups: groups)
    try rule.validate()
    try Self.window(kernelSize, stride, padding, dilation).validate()
    let parameters = try rule.parameters(
      weight: [outChannels, inChannels / groups, kernelSize.height, kernelSize.width], bias: bias,
      initializer: initializer, key: key, on: device)
    try self.init(
      weight: parameters.weight, bias: parameters.bias, stride: stride, padding: padding,
      dilation: dilation, groups: groups, paddingMode: paddingMode)
  }

  /// A layer of given parameters.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    weight: Parameter, bias: Parameter? = nil, stride: Size2D = 1,
    padding: ConvolutionPadding = .valid, dilation: Size2D = 1, groups: Int = 1,
    paddingMode: PaddingMode = .constant(0)
  ) throws {
    let shape = weight.shape
    guard shape.count == 4, groups > 0, shape[0] % groups == 0,
      bias.map({ $0.shape == [shape[0]] }) ?? true
    else {
      throw ApusError(
        .shape, operation: "Conv2d",
        "weight \(shape) must be [out, in / groups, height, width] with groups \(groups) dividing "
          + "out, and bias \(bias.map { "\($0.shape)" } ?? "none") [out]")
    }
    let kernel = Size2D(shape[2], shape[3])
    try Self.window(kernel, stride, padding, dilation).validate()
    if case .same = padding, stride != 1 {
      throw ApusError(
        .value, operation: "Conv2d", "padding 'same' needs stride 1, not \(stride)")
    }
    self.weight = weight
    self.bias = bias
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.paddingMode = paddingMode
  }

  public var inChannels: Int { weight.shape[1] * groups }
  public var outChannels: Int { weight.shape[0] }
  public var kernelSize: Size2D { Size2D(weight.shape[2], weight.shape[3]) }

  private static func window(
    _ kernel: Size2D, _ stride: Size2D, _ padding: ConvolutionPadding, _ dilation: Size2D
  ) -> WindowRule {
    let sides = padding.sides(kernel: kernel, dilation: dilation)
    return WindowRule(
      layer: "Conv2d", kernel: kernel, stride: stride, dilation: dilation, height: sides.height,
      width: sides.width)
  }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    var (x, padding) = (x, padding)
    if paddingMode != .constant(0), x.rank == 4 {
      let sides = padding.sides(kernel: kernelSize, dilation: dilation)
      x = try x.padded([(0, 0), (0, 0), sides.height, sides.width], mode: paddingMode)
      padding = .valid
    }
    return try x.conv2d(
      weight: try context[weight], bias: try bias.map { try context[$0] }, stride: stride.pair,
      padding: padding, dilation: dilation.pair, groups: groups, activation: activation,
      addend: addend)
  }
}

extension Conv2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3 else {
      throw ApusError.axes("Conv2d", "[channels, height, width]", input)
    }
    guard input[0] == inChannels else { throw ApusError.channels("Conv2d", inChannels, input) }
    let (height, width) = try Self.window(kernelSize, stride, padding, dilation)
      .output(height: input[1], width: input[2])
    return [outChannels, height, width]
  }
}

import ApusDevice
import ApusTensor

/// A convolution (cross-correlation) over sequences: `[N, inChannels, L]` to `[N, outChannels, L′]`.
///
/// `weight` is `[outChannels, inChannels / groups, kernelSize]`, `bias` `[outChannels]`. Names,
/// layouts, defaults and initialisation are those of `torch.nn.Conv1d`.
public struct Conv1d: EpilogueLayer {
  public let weight: Parameter
  public let bias: Parameter?
  public let stride: Int
  /// A width; heights are ignored.
  public let padding: ConvolutionPadding
  public let dilation: Int
  public let groups: Int
  /// What stands beyond the ends.
  public let paddingMode: PaddingMode

  /// - Parameters:
  ///   - padding: `.zeros(n)` for `n` zeros at both ends.
  ///   - initializer: For the weight; PyTorch's default for nil.
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a number is out of range or `groups` does not divide the channels.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Int, stride: Int = 1,
    padding: ConvolutionPadding = .valid, dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    paddingMode: PaddingMode = .constant(0), initializer: Initializer? = nil, key: RandomKey,
    on device: Device
  ) throws {
    let rule = ConvolutionRule(
      layer: "Conv1d", inChannels: inChannels, outChannels: outChannels, groups: groups)
    try rule.validate()
    try Self.window(kernelSize, stride, padding, dilation).validate()
    let parameters = try rule.parameters(
      weight: [outChannels, inChannels / groups, kernelSize], bias: bias, initializer: initializer,
      key: key, on: device)
    try self.init(
      weight: parameters.weight, bias: parameters.bias, stride: stride, padding: padding,
      dilation: dilation, groups: groups, paddingMode: paddingMode)
  }

  /// A layer of given parameters.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    weight: Parameter, bias: Parameter? = nil, stride: Int = 1,
    padding: ConvolutionPadding = .valid, dilation: Int = 1, groups: Int = 1,
    paddingMode: PaddingMode = .constant(0)
  ) throws {
    let shape = weight.shape
    guard shape.count == 3, groups > 0, shape[0] % groups == 0,
      bias.map({ $0.shape == [shape[0]] }) ?? true
    else {
      throw ApusError(
        .shape, operation: "Conv1d",
        "weight \(shape) must be [out, in / groups, kernel] with groups \(groups) dividing out, and "
          + "bias \(bias.map { "\($0.shape)" } ?? "none") [out]")
    }
    try Self.window(shape[2], stride, padding, dilation).validate()
    if case .same = padding, stride != 1 {
      throw ApusError(
        .value, operation: "Conv1d", "padding 'same' needs stride 1, not \(stride)")
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
  public var kernelSize: Int { weight.shape[2] }

  private static func window(
    _ kernel: Int, _ stride: Int, _ padding: ConvolutionPadding, _ dilation: Int
  ) -> WindowRule {
    let kernel = Size2D(1, kernel)
    let dilation = Size2D(1, dilation)
    return WindowRule(
      layer: "Conv1d", kernel: kernel, stride: Size2D(1, stride), dilation: dilation,
      width: padding.sides(kernel: kernel, dilation: dilation).width)
  }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    let sides = padding.sides(kernel: Size2D(1, kernelSize), dilation: Size2D(1, dilation)).width
    let isPadded = paddingMode != .constant(0) && x.rank == 3
    let y = try (isPadded ? x.padded([(0, 0), (0, 0), sides], mode: paddingMode) : x).conv1d(
      weight: try context[weight], bias: try bias.map { try context[$0] }, stride: stride,
      padding: isPadded
        ? .valid : .sides(top: 0, bottom: 0, left: sides.before, right: sides.after),
      dilation: dilation, groups: groups, activation: addend == nil ? activation : nil)
    return try addend == nil ? y : y.finished(addend: addend, activation: activation)
  }
}

extension Conv1d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 2 else { throw ApusError.axes("Conv1d", "[channels, length]", input) }
    guard input[0] == inChannels else { throw ApusError.channels("Conv1d", inChannels, input) }
    let (_, width) = try Self.window(kernelSize, stride, padding, dilation)
      .output(height: 1, width: input[1])
    return [outChannels, width]
  }
}

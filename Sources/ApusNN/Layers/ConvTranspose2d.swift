import ApusDevice
import ApusTensor

/// A transposed convolution: the gradient of ``Conv2d`` with respect to its input, as a layer that
/// enlarges. `[N, inChannels, H, W]` to `[N, outChannels, H′, W′]` with
/// `H′ = (H − 1) · stride − 2 · padding + dilation · (kernel − 1) + outputPadding + 1`.
///
/// `weight` is `[inChannels, outChannels / groups, kernel height, kernel width]`, `bias`
/// `[outChannels]`. Names, layouts, defaults and initialisation are those of
/// `torch.nn.ConvTranspose2d`.
public struct ConvTranspose2d: Layer {
  public let weight: Parameter
  public let bias: Parameter?
  public let stride: Size2D
  public let padding: Size2D
  public let outputPadding: Size2D
  public let groups: Int
  public let dilation: Size2D

  /// - Parameters:
  ///   - outputPadding: Rows and columns added at one side of the result; less than stride or
  ///     dilation.
  ///   - key: Gives the first values.
  /// - Throws: ``ApusError`` where a number is out of range or `groups` does not divide the channels.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Size2D, stride: Size2D = 1,
    padding: Size2D = 0, outputPadding: Size2D = 0, groups: Int = 1, bias: Bool = true,
    dilation: Size2D = 1, initializer: Initializer? = nil, key: RandomKey, on device: Device
  ) throws {
    let rule = ConvolutionRule(
      layer: "ConvTranspose2d", inChannels: inChannels, outChannels: outChannels, groups: groups)
    try rule.validate()
    try TransposedRule("ConvTranspose2d", kernelSize, stride, padding, outputPadding, dilation)
      .validate()
    let parameters = try rule.parameters(
      weight: [inChannels, outChannels / groups, kernelSize.height, kernelSize.width], bias: bias,
      initializer: initializer, key: key, on: device)
    try self.init(
      weight: parameters.weight, bias: parameters.bias, stride: stride, padding: padding,
      outputPadding: outputPadding, groups: groups, dilation: dilation)
  }

  /// A layer of given parameters.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    weight: Parameter, bias: Parameter? = nil, stride: Size2D = 1, padding: Size2D = 0,
    outputPadding: Size2D = 0, groups: Int = 1, dilation: Size2D = 1
  ) throws {
    let shape = weight.shape
    guard shape.count == 4, groups > 0, shape[0] % groups == 0,
      bias.map({ $0.shape == [shape[1] * groups] }) ?? true
    else {
      throw ApusError(
        .shape, operation: "ConvTranspose2d",
        "weight \(shape) must be [in, out / groups, height, width] with groups \(groups) dividing "
          + "in, and bias \(bias.map { "\($0.shape)" } ?? "none") [out]")
    }
    try TransposedRule(
      "ConvTranspose2d", Size2D(shape[2], shape[3]), stride, padding, outputPadding, dilation
    ).validate()
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
  public var kernelSize: Size2D { Size2D(weight.shape[2], weight.shape[3]) }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.convTranspose2d(
      weight: try context[weight], bias: try bias.map { try context[$0] }, stride: stride.pair,
      padding: padding.pair, outputPadding: outputPadding.pair, dilation: dilation.pair,
      groups: groups)
  }
}

extension ConvTranspose2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3 else {
      throw ApusError.axes("ConvTranspose2d", "[channels, height, width]", input)
    }
    guard input[0] == inChannels else {
      throw ApusError.channels("ConvTranspose2d", inChannels, input)
    }
    let rule = TransposedRule(
      "ConvTranspose2d", kernelSize, stride, padding, outputPadding, dilation)
    let (height, width) = try rule.output(height: input[1], width: input[2])
    return [outChannels, height, width]
  }
}

/// The numbers of a transposed convolution and the extents it gives.
struct TransposedRule {
  private let window: WindowRule
  private let outputPadding: Size2D

  init(
    _ layer: String, _ kernel: Size2D, _ stride: Size2D, _ padding: Size2D, _ outputPadding: Size2D,
    _ dilation: Size2D
  ) {
    window = WindowRule(
      layer: layer, kernel: kernel, stride: stride, dilation: dilation,
      height: (padding.height, padding.height), width: (padding.width, padding.width))
    self.outputPadding = outputPadding
  }

  func validate() throws {
    try window.validate()
    for (extra, stride, dilation) in [
      (outputPadding.height, window.stride.height, window.dilation.height),
      (outputPadding.width, window.stride.width, window.dilation.width),
    ] where extra < 0 || extra >= max(stride, dilation) {
      throw ApusError(
        .value, operation: window.layer,
        "outputPadding is \(outputPadding); it must be at least 0 and less than stride "
          + "\(window.stride) or dilation \(window.dilation)")
    }
  }

  func output(height: Int, width: Int) throws -> (Int, Int) {
    func extent(
      _ input: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ padding: Int, _ extra: Int
    ) throws -> Int {
      let (spread, overflow) = (input - 1).multipliedReportingOverflow(by: stride)
      let result = spread &- 2 * padding &+ dilation * (kernel - 1) &+ extra &+ 1
      guard !overflow, spread < 1 << 60, result > 0 else {
        throw ApusError(
          .shape, operation: window.layer,
          "an input of \(height) x \(width) gives no result with kernelSize \(window.kernel), "
            + "stride \(window.stride) and padding \(padding)")
      }
      return result
    }
    return (
      try extent(
        height, window.kernel.height, window.stride.height, window.dilation.height,
        window.height.before, outputPadding.height),
      try extent(
        width, window.kernel.width, window.stride.width, window.dilation.width,
        window.width.before, outputPadding.width)
    )
  }
}

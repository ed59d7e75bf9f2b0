import ApusDevice
import ApusTensor

/// The largest element of each window, per channel: `[N, C, H, W]` to `[N, C, H′, W′]`. Names and
/// defaults are those of `torch.nn.MaxPool2d`; padding never wins.
public struct MaxPool2d: Layer {
  public let kernelSize: Size2D
  public let stride: Size2D
  public let padding: Size2D
  public let dilation: Size2D
  public let ceilMode: Bool

  /// - Parameters:
  ///   - stride: `kernelSize` for nil.
  ///   - ceilMode: Whether a last window may hang over the end.
  /// - Throws: ``ApusError`` where a number is out of range; padding is at most half the kernel.
  public init(
    kernelSize: Size2D, stride: Size2D? = nil, padding: Size2D = 0, dilation: Size2D = 1,
    ceilMode: Bool = false
  ) throws {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.dilation = dilation
    self.ceilMode = ceilMode
    try window.validatePool(padding)
  }

  private var window: WindowRule {
    WindowRule(
      layer: "MaxPool2d", kernel: kernelSize, stride: stride, dilation: dilation,
      height: (padding.height, padding.height), width: (padding.width, padding.width))
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.maxPool2d(
      kernelSize: kernelSize.pair, stride: stride.pair, padding: padding.pair,
      dilation: dilation.pair, ceilMode: ceilMode)
  }
}

extension MaxPool2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    try window.pooled(input, ceilMode: ceilMode)
  }
}

/// ``MaxPool2d`` over sequences: `[N, C, L]` to `[N, C, L′]`.
public struct MaxPool1d: Layer {
  public let kernelSize: Int
  public let stride: Int
  public let padding: Int
  public let dilation: Int
  public let ceilMode: Bool

  /// - Parameter stride: `kernelSize` for nil.
  /// - Throws: ``ApusError`` where a number is out of range; padding is at most half the kernel.
  public init(
    kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
  ) throws {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.dilation = dilation
    self.ceilMode = ceilMode
    try window.validatePool(Size2D(0, padding))
  }

  private var window: WindowRule {
    WindowRule(
      layer: "MaxPool1d", kernel: Size2D(1, kernelSize), stride: Size2D(1, stride),
      dilation: Size2D(1, dilation), width: (padding, padding))
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.maxPool1d(
      kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation,
      ceilMode: ceilMode)
  }
}

extension MaxPool1d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 2 else { throw ApusError.axes("MaxPool1d", "[channels, length]", input) }
    let (_, width) = try window.output(height: 1, width: input[1], ceilMode: ceilMode)
    return [input[0], width]
  }
}

/// The mean of each window, per channel: `[N, C, H, W]` to `[N, C, H′, W′]`. Names and defaults are
/// those of `torch.nn.AvgPool2d`.
public struct AvgPool2d: Layer {
  public let kernelSize: Size2D
  public let stride: Size2D
  public let padding: Size2D
  public let ceilMode: Bool
  /// Whether zeros of the padding enlarge the divisor.
  public let countIncludePad: Bool

  /// - Parameter stride: `kernelSize` for nil.
  /// - Throws: ``ApusError`` where a number is out of range; padding is at most half the kernel.
  public init(
    kernelSize: Size2D, stride: Size2D? = nil, padding: Size2D = 0, ceilMode: Bool = false,
    countIncludePad: Bool = true
  ) throws {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.ceilMode = ceilMode
    self.countIncludePad = countIncludePad
    try window.validatePool(padding)
  }

  private var window: WindowRule {
    WindowRule(
      layer: "AvgPool2d", kernel: kernelSize, stride: stride, dilation: 1,
      height: (padding.height, padding.height), width: (padding.width, padding.width))
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.avgPool2d(
      kernelSize: kernelSize.pair, stride: stride.pair, padding: padding.pair, ceilMode: ceilMode,
      countIncludePad: countIncludePad)
  }
}

extension AvgPool2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    try window.pooled(input, ceilMode: ceilMode)
  }
}

/// Means over so many near-equal windows that the result has a given size, whatever the input's:
/// `[N, C, H, W]` to `[N, C, height, width]`, as `torch.nn.AdaptiveAvgPool2d`.
public struct AdaptiveAvgPool2d: Layer {
  public let outputSize: Size2D

  /// - Throws: ``ApusError`` where the size is not positive.
  public init(_ outputSize: Size2D) throws {
    guard (1...WindowRule.largest).contains(outputSize.height),
      (1...WindowRule.largest).contains(outputSize.width)
    else {
      throw ApusError(
        .value, operation: "AdaptiveAvgPool2d",
        "outputSize is \(outputSize); it must be within 1...\(WindowRule.largest)")
    }
    self.outputSize = outputSize
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.adaptiveAvgPool2d(outputSize.pair)
  }
}

extension AdaptiveAvgPool2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3 else {
      throw ApusError.axes("AdaptiveAvgPool2d", "[channels, height, width]", input)
    }
    return [input[0], outputSize.height, outputSize.width]
  }
}

extension WindowRule {
  /// The rule of PyTorch: padding is at most half the kernel, so no window lies in padding alone.
  func validatePool(_ padding: Size2D) throws {
    try validate()
    guard padding.height <= kernel.height / 2, padding.width <= kernel.width / 2 else {
      throw ApusError(
        .value, operation: layer,
        "padding \(padding) must be at most half of kernelSize \(kernel)")
    }
  }

  func pooled(_ input: [Int], ceilMode: Bool) throws -> [Int] {
    guard input.count == 3 else { throw ApusError.axes(layer, "[channels, height, width]", input) }
    let (height, width) = try output(height: input[1], width: input[2], ceilMode: ceilMode)
    return [input[0], height, width]
  }
}

import ApusDevice
import ApusTensor

/// `activation(body(x) + shortcut(x))`, the block of residual networks (He et al. 2016).
///
/// Where the body ends in a convolution or a batch normalisation, sum and activation run in that
/// layer's pass. Parameters are named `body.…` and `shortcut.…`.
public struct Residual: Layer {
  public let body: any Layer
  /// The identity for nil.
  public let shortcut: (any Layer)?
  /// Nothing for nil.
  public let activation: UnaryOp?

  public init(_ body: any Layer, shortcut: (any Layer)? = nil, activation: UnaryOp? = .relu) {
    self.body = body
    self.shortcut = shortcut
    self.activation = activation
  }

  public func namedParameters() -> [NamedParameter] {
    func named(_ prefix: String, _ layer: (any Layer)?) -> [NamedParameter] {
      (layer?.namedParameters() ?? []).map {
        NamedParameter(name: "\(prefix).\($0.name)", parameter: $0.parameter)
      }
    }
    return named("body", body) + named("shortcut", shortcut)
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    let addend = try shortcut?(x, context) ?? x
    if let body = body as? any EpilogueLayer {
      return try body(x, addend: addend, activation: activation, context)
    }
    return try body(x, context).finished(addend: addend, activation: activation)
  }
}

/// The shortcut without parameters, option A of He et al. 2016: every `stride`-th row and column, and
/// channels of zeros before and after so that there are `outChannels`. `[N, C, H, W]` to
/// `[N, outChannels, ⌈H / stride⌉, ⌈W / stride⌉]`.
public struct Shortcut: Layer {
  public let outChannels: Int
  public let stride: Int

  /// - Throws: ``ApusError`` where a number is not positive.
  public init(outChannels: Int, stride: Int = 1) throws {
    guard (1...WindowRule.largest).contains(outChannels), (1...WindowRule.largest).contains(stride)
    else {
      throw ApusError(
        .value, operation: "Shortcut",
        "outChannels \(outChannels) and stride \(stride) must be within 1...\(WindowRule.largest)")
    }
    self.outChannels = outChannels
    self.stride = stride
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    _ = try outputShape(of: Array(x.shape.dropFirst()))
    let subsampled =
      stride == 1
      ? x : try x.slice(axis: 2, step: stride).slice(axis: 3, step: stride)
    let missing = outChannels - x.shape[1]
    guard missing > 0 else { return subsampled }
    return try subsampled.padded([
      (0, 0), (missing / 2, missing - missing / 2), (0, 0), (0, 0),
    ])
  }
}

extension Shortcut: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3 else {
      throw ApusError.axes("Shortcut", "[channels, height, width]", input)
    }
    guard input[0] <= outChannels else {
      throw ApusError(
        .shape, operation: "Shortcut",
        "an input of shape \(input) has more than outChannels \(outChannels) channels")
    }
    return [outChannels, (input[1] - 1) / stride + 1, (input[2] - 1) / stride + 1]
  }
}

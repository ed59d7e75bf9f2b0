import ApusDevice
import ApusTensor

/// Resizes images: `[N, C, H, W]` to `[N, C, H′, W′]`, by the rules of `torch.nn.Upsample`.
public struct Upsample: Layer {
  /// Either the size itself, or how often it grows.
  public enum Target: Sendable, Hashable {
    case size(Size2D)
    /// `H′ = ⌊H · height⌋`, and alike for the width; pixels lie by the scale itself, as with
    /// `scale_factor` there.
    case scale(height: Double, width: Double)
  }

  public let target: Target
  public let mode: Upsampling.Mode
  public let alignsCorners: Bool

  /// - Parameter alignsCorners: For bilinear: whether the corner pixels of input and output are the
  ///   same points.
  /// - Throws: ``ApusError`` where a number is out of range.
  public init(
    _ target: Target, mode: Upsampling.Mode = .nearest, alignsCorners: Bool = false
  ) throws {
    let isFine =
      switch target {
      case .size(let size):
        (1...WindowRule.largest).contains(size.height)
          && (1...WindowRule.largest).contains(size.width)
      case .scale(let height, let width):
        height > 0 && width > 0 && height <= 1024 && width <= 1024
      }
    guard isFine else {
      throw ApusError(
        .value, operation: "Upsample",
        "\(target): a size must be within 1...\(WindowRule.largest), a scale within 0<...1024")
    }
    guard !alignsCorners || mode != .nearest else {
      throw ApusError(
        .value, operation: "Upsample", "alignsCorners is for bilinear; nearest knows no corners")
    }
    self.target = target
    self.mode = mode
    self.alignsCorners = alignsCorners
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    let shape = try outputShape(of: Array(x.shape.dropFirst()))
    let scale: Upsampling.Scale? =
      if case .scale(let height, let width) = target { .init(height: height, width: width) } else {
        nil
      }
    return try x.interpolated(
      size: (shape[1], shape[2]), mode: mode, alignsCorners: alignsCorners, scale: scale)
  }
}

extension Upsample: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3, input.allSatisfy({ $0 < 1 << 31 }) else {
      throw ApusError.axes("Upsample", "[channels, height, width]", input)
    }
    switch target {
    case .size(let size): return [input[0], size.height, size.width]
    case .scale(let height, let width):
      let size = (Int(Double(input[1]) * height), Int(Double(input[2]) * width))
      guard size.0 > 0, size.1 > 0 else {
        throw ApusError(
          .shape, operation: "Upsample", "\(target) leaves nothing of an input of shape \(input)")
      }
      return [input[0], size.0, size.1]
    }
  }
}

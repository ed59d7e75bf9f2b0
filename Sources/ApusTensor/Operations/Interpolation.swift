import ApusDevice

extension Tensor {
  /// Images `[N, C, H, W]` resized to `size`, by the rules of `torch.nn.functional.interpolate`; see
  /// ``Upsampling``.
  /// - Parameters:
  ///   - alignsCorners: Whether the corners keep their values; bilinear only.
  ///   - scale: What the size was computed from, as `scale_factor` there; nil where the sizes alone tell.
  /// - Returns: `[N, C, OH, OW]`.
  public func interpolated(
    size: (Int, Int), mode: Upsampling.Mode = .nearest, alignsCorners: Bool = false,
    scale: Upsampling.Scale? = nil
  ) throws -> Tensor {
    let name = "interpolated"
    try ShapeRule.floats([self], name)
    guard mode == .bilinear || !alignsCorners else {
      throw ApusError(
        .value, operation: name,
        "corners can be aligned only between neighbours; leave `alignsCorners` or take `.bilinear`")
    }
    if let scale, !(scale.height > 0 && scale.width > 0) {
      throw ApusError(.value, operation: name, "a scale of \(scale) must be positive")
    }
    let output = try ShapeRule.resized(shape, to: size, name)
    let upsampling = Upsampling(mode, alignsCorners: alignsCorners, scale: scale)
    return try pooled(.upsample(upsampling), .upsampleBackward(upsampling), output)
  }
}

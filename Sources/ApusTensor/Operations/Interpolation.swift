import ApusDevice

extension Tensor {
  /// Images `[N, C, H, W]` resized to `size`, by the rules of `torch.nn.functional.interpolate`; see
  /// ``Upsampling``.
  /// - Parameter alignsCorners: Whether the corners keep their values; bilinear only.
  /// - Returns: `[N, C, OH, OW]`.
  public func interpolated(
    size: (Int, Int), mode: Upsampling.Mode = .nearest, alignsCorners: Bool = false
  ) throws -> Tensor {
    let name = "interpolated"
    try ShapeRule.floats([self], name)
    guard mode == .bilinear || !alignsCorners else {
      throw ApusError(
        .value, operation: name,
        "corners can be aligned only between neighbours; leave `alignsCorners` or take `.bilinear`")
    }
    let output = try ShapeRule.resized(shape, to: size, name)
    let upsampling = Upsampling(mode, alignsCorners: alignsCorners)
    return try pooled(.upsample(upsampling), .upsampleBackward(upsampling), output)
  }
}

import ApusDevice
import CVector

/// Images as the loops take them: dense, the channels of a pixel next to each other.
extension CPUBackend {
  /// Runs `body` on channels-last forms of `images`, which live until it returns.
  func readingImages<R>(_ images: [Operand], body: ([Operand]) throws -> R) throws -> R {
    let dense = try images.map { image in
      if image.layout.isChannelsLast { return image }
      let copy = try imageBuffer(image)
      try moveImage(image, copy)
      return copy
    }
    return try withExtendedLifetime(dense) { try body(dense) }
  }

  /// Runs `body` on `out` or, where its memory order is another, on a temporary that is then copied.
  func withImage(_ out: Operand, _ body: (Operand) throws -> Void) throws {
    if out.layout.isChannelsLast { return try body(out) }
    let copy = try imageBuffer(out)
    try body(copy)
    try moveImage(copy, out)
  }

  private func imageBuffer(_ like: Operand) throws -> Operand {
    Operand(
      storage: try allocate(byteCount: like.count * like.dtype.byteCount), dtype: like.dtype,
      layout: Layout(channelsLast: like.shape))
  }

  /// The copy finds its tiles when the axis that is dense in the target comes last.
  private func moveImage(_ from: Operand, _ to: Operand) throws {
    let order = to.layout.strides[1] == 1 ? [0, 2, 3, 1] : [0, 1, 2, 3]
    try move(from.with(from.layout.permuted(order)), to.with(to.layout.permuted(order)))
  }

  /// Zeros, where nothing reaches the outputs.
  func clearAll(_ outputs: [Operand]) throws {
    for out in outputs where out.count > 0 { try fill(0, out) }
  }
}

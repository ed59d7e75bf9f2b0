import ApusDevice
import CVector

/// Images as the loops take them: dense, the channels of a pixel next to each other.
extension CPUBackend {
  /// Runs `body` on channels-last forms of `images`, which live until it returns.
  func readingImages<R>(_ images: [Operand], body: ([Operand]) throws -> R) throws -> R {
    let dense = try images.map { image in
      if image.layout.isChannelsLast { return image }
      let copy = try imageBuffer(image)
      try move(image, copy)
      return copy
    }
    return try withExtendedLifetime(dense) { try body(dense) }
  }

  /// Runs `body` on `out` or, where its memory order is another, on a temporary that is then copied.
  func withImage(_ out: Operand, _ body: (Operand) throws -> Void) throws {
    if out.layout.isChannelsLast { return try body(out) }
    let copy = try imageBuffer(out)
    try body(copy)
    try move(copy, out)
  }

  private func imageBuffer(_ like: Operand) throws -> Operand {
    Operand(
      storage: try allocate(byteCount: like.count * like.dtype.byteCount), dtype: like.dtype,
      layout: Layout(channelsLast: like.shape))
  }

  /// Zeros, where nothing reaches the outputs.
  func clearAll(_ outputs: [Operand]) throws {
    for out in outputs where out.count > 0 { try fill(0, out) }
  }
}

import ApusDevice

/// What surrounds a tensor that is padded.
public enum PaddingMode: Sendable, Hashable {
  case constant(Float)
  /// Mirrored at the edge, which is not repeated: `c b | a b c | b a`.
  case reflect
  /// The edge repeated: `a a | a b c | c c`.
  case replicate
  /// From the other end: `b c | a b c | a b`.
  case circular
}

extension Tensor {
  /// The last axes enlarged, as by `torch.nn.functional.pad`.
  /// - Parameter widths: For the last axes, the outermost of them first, how many elements before and
  ///   after.
  /// - Throws: ``ApusError`` for negative widths, and where `reflect` would need as many elements as
  ///   the axis has, `circular` more than it has, or `replicate` any of an empty one.
  public func padded(
    _ widths: [(before: Int, after: Int)], mode: PaddingMode
  ) throws -> Tensor {
    guard widths.count <= rank,
      widths.allSatisfy({
        (0...ShapeRule.longestWindow).contains($0.before)
          && (0...ShapeRule.longestWindow).contains($0.after)
      })
    else {
      throw ApusError(
        .value, operation: "padded",
        "widths \(widths) do not fit shape \(shape): at most one non-negative pair per axis")
    }
    let first = rank - widths.count
    if case .constant(let value) = mode {
      let none = [(before: Int, after: Int)](repeating: (0, 0), count: first)
      return try padded(none + widths, value: Double(value))
    }
    var target = shape
    for (i, width) in widths.enumerated() { target[first + i] += width.before + width.after }
    _ = try ShapeRule.count(target, "padded")
    var result = self
    for (i, width) in widths.enumerated() where width.before + width.after > 0 {
      let positions = try mode.positions(extent: shape[first + i], width, axis: first + i, shape)
      result = try result.take(try Tensor(positions, on: device), axis: first + i)
    }
    return result
  }
}

extension PaddingMode {
  /// Where each element of the padded axis comes from.
  fileprivate func positions(
    extent: Int, _ width: (before: Int, after: Int), axis: Int, _ shape: [Int]
  ) throws -> [Int32] {
    let widest = Swift.max(width.before, width.after)
    let longest =
      switch self {
      case .reflect: extent - 1
      case .circular: extent
      case .replicate, .constant: extent == 0 ? 0 : ShapeRule.longestWindow
      }
    guard widest <= longest else {
      throw ApusError(
        .value, operation: "padded",
        "axis \(axis) of shape \(shape) has \(extent) elements, too few for \(self) by \(widest); "
          + "at most \(Swift.max(longest, 0)) can be added on a side")
    }
    return (-width.before..<extent + width.after).map { position in
      let source =
        switch self {
        case .reflect:
          position < 0 ? -position : position >= extent ? 2 * (extent - 1) - position : position
        case .circular: (position + extent) % extent
        case .replicate, .constant: Swift.min(Swift.max(position, 0), extent - 1)
        }
      return Int32(clamping: source)
    }
  }
}

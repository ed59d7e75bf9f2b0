import ApusDevice
import ApusTensor

/// What windows sliding over height and width must satisfy, and the extents they give. A window over
/// one axis has height 1.
struct WindowRule {
  /// The layer's type, for messages.
  let layer: String
  var kernel: Size2D
  var stride: Size2D
  var dilation: Size2D
  /// Zeros (or what the padding mode says) before and after each axis.
  var height: (before: Int, after: Int) = (0, 0)
  var width: (before: Int, after: Int) = (0, 0)

  /// Larger numbers are mistakes, and sums of such numbers do not overflow.
  static let largest = 1 << 20

  /// - Throws: ``ApusError`` where a number is out of its range.
  func validate() throws {
    for (name, size) in [("kernelSize", kernel), ("stride", stride), ("dilation", dilation)] {
      guard (1...Self.largest).contains(size.height), (1...Self.largest).contains(size.width) else {
        throw ApusError(
          .value, operation: layer, "\(name) is \(size); it must be within 1...\(Self.largest)")
      }
    }
    for side in [height.before, height.after, width.before, width.after]
    where !(0...Self.largest).contains(side) {
      throw ApusError(
        .value, operation: layer, "padding is \(side); it must be within 0...\(Self.largest)")
    }
  }

  /// Height and width of the result.
  /// - Parameter ceilMode: Whether a last window may hang over the end, as long as it begins inside.
  func output(height h: Int, width w: Int, ceilMode: Bool = false) throws -> (Int, Int) {
    func extent(
      _ name: String, _ input: Int, _ kernel: Int, _ stride: Int, _ dilation: Int,
      _ sides: (before: Int, after: Int)
    ) throws -> Int {
      let span = dilation * (kernel - 1) + 1
      let padding = sides.before + sides.after
      // What the last window may hang over the end.
      let overhang = ceilMode ? stride - 1 : 0
      let (reach, overflow) = input.addingReportingOverflow(padding + overhang)
      guard !overflow, reach >= span else {
        throw ApusError(
          .shape, operation: layer,
          "the input's \(name) is \(input), its padding adds \(padding); the window needs \(span)"
            + (overhang == 0 ? "" : " and may hang \(overhang) over the end"))
      }
      let count = (reach - span) / stride + 1
      return ceilMode && (count - 1) * stride >= input + sides.before ? count - 1 : count
    }
    return (
      try extent("height", h, kernel.height, stride.height, dilation.height, height),
      try extent("width", w, kernel.width, stride.width, dilation.width, width)
    )
  }
}

extension ApusError {
  /// A layer got an example of the wrong number of axes.
  static func axes(_ layer: String, _ expected: String, _ shape: [Int]) -> ApusError {
    ApusError(
      .shape, operation: layer, "takes examples of shape \(expected), its input has shape \(shape)")
  }

  static func channels(_ layer: String, _ expected: Int, _ shape: [Int]) -> ApusError {
    ApusError(
      .shape, operation: layer,
      "takes \(expected) channels, its input of shape \(shape) has \(shape.first ?? 0)")
  }
}

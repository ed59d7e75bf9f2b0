import ApusDevice

extension ShapeRule {
  /// No stride, dilation, padding or kernel is longer; sums and products of two stay within `Int`.
  static let longestWindow = 1 << 30

  /// A window of a caller's numbers.
  static func window(
    _ operation: String, kernel: (Int, Int), stride: (Int, Int), dilation: (Int, Int),
    top: Int, bottom: Int, left: Int, right: Int
  ) throws -> Window {
    func check(_ name: StaticString, _ values: (Int, Int), from low: Int) throws {
      guard min(values.0, values.1) >= low, max(values.0, values.1) <= longestWindow else {
        throw ApusError(
          .value, operation: operation,
          "\(name) is (\(values.0), \(values.1)); both must lie within \(low)...\(longestWindow)")
      }
    }
    try check("kernel", kernel, from: 1)
    try check("stride", stride, from: 1)
    try check("dilation", dilation, from: 1)
    try check("padding at top and bottom", (top, bottom), from: 0)
    try check("padding at left and right", (left, right), from: 0)
    return Window(
      height: kernel.0, width: kernel.1, strideHeight: stride.0, strideWidth: stride.1,
      dilationHeight: dilation.0, dilationWidth: dilation.1, top: top, bottom: bottom, left: left,
      right: right)
  }

  /// `[N, C, OH, OW]` of a window that slides over `[N, C, H, W]`.
  static func slid(
    _ window: Window, over input: [Int], channels: Int, ceilMode: Bool = false, _ operation: String
  ) throws -> [Int] {
    guard input.count == 4, input[1] > 0, input[2] > 0, input[3] > 0 else {
      throw ApusError(
        .shape, operation: operation,
        "takes images [N, C, H, W] that are not empty, not shape \(input)")
    }
    let height = try slid(
      input[2], window.top, window.bottom, span: window.spanHeight, stride: window.strideHeight,
      ceilMode, axis: "height", input, operation)
    let width = try slid(
      input[3], window.left, window.right, span: window.spanWidth, stride: window.strideWidth,
      ceilMode, axis: "width", input, operation)
    let output = [input[0], channels, height, width]
    _ = try count(output, operation)
    // What a device may have to hold of it: the padded input with what the last window hangs over it,
    // and the windows of one image.
    _ = try count(window.framed(input, output: output), operation)
    _ = try count([input[1], window.height, window.width, height, width], operation)
    return output
  }

  private static func slid(
    _ extent: Int, _ before: Int, _ after: Int, span: Int, stride: Int, _ ceilMode: Bool,
    axis: String, _ input: [Int], _ operation: String
  ) throws -> Int {
    let padded = extent + before + after
    // What the last window may hang over the end.
    let reach = padded + (ceilMode ? stride - 1 : 0)
    guard reach >= span else {
      throw ApusError(
        .shape, operation: operation,
        "the kernel spans \(span) of the \(axis), input \(input) has \(extent) and "
          + "\(before + after) of padding; pad more or take a smaller kernel or dilation")
    }
    let length = (reach - span) / stride + 1
    // The last window must start in the input or in the padding before it.
    return ceilMode && (length - 1) * stride >= extent + before ? length - 1 : length
  }

  /// The common element type of all operands: `float32`, or `float64` where the device has it.
  static func floats(_ tensors: [Tensor], _ operation: String) throws {
    for x in tensors
    where x.dtype != tensors[0].dtype || (x.dtype != .float32 && x.dtype != .float64) {
      throw ApusError(
        .dtype, operation: operation, "takes float32, not \(x.dtype); cast with `to(.float32)`")
    }
  }
}

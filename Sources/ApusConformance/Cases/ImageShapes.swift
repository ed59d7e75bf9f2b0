import ApusDevice

/// Ways in which feature maps lie; few for large ones.
func imagePlacements(_ shapes: [[Int]]) -> [Placement] {
  let largest = shapes.map { $0.reduce(1, *) }.max() ?? 0
  if largest > 12_000 { return [.dense, .channelsLast] }
  return [
    .dense, .offset, .transposed, .stepped, .repeatedFirst, .stridedOutput, .mixed, .channelsLast,
    .channelsLastPart,
  ]
}

/// A window over images, with the extents of what it gives.
struct Sliding {
  let input: [Int]
  let window: Window
  /// Of the output, unless the window says more than is read.
  let height: Int
  let width: Int

  /// - Parameters:
  ///   - padding: At top, bottom, left and right.
  ///   - overhang: Whether a last window may hang over the end.
  init(
    _ input: [Int], kernel: (Int, Int), stride: (Int, Int) = (1, 1), dilation: (Int, Int) = (1, 1),
    padding: (Int, Int, Int, Int) = (0, 0, 0, 0), overhang: Bool = false
  ) {
    self.input = input
    window = Window(
      height: kernel.0, width: kernel.1, strideHeight: stride.0, strideWidth: stride.1,
      dilationHeight: dilation.0, dilationWidth: dilation.1, top: padding.0, bottom: padding.1,
      left: padding.2, right: padding.3)
    func slid(_ extent: Int, _ before: Int, _ after: Int, _ span: Int, _ stride: Int) -> Int {
      let free = extent + before + after - span
      guard overhang else { return free / stride + 1 }
      let length = (free + stride - 1) / stride + 1
      return (length - 1) * stride >= extent + before ? length - 1 : length
    }
    height = slid(input[2], padding.0, padding.1, window.spanHeight, stride.0)
    width = slid(input[3], padding.2, padding.3, window.spanWidth, stride.1)
  }

  var area: Int { window.height * window.width }

  func output(_ channels: Int) -> [Int] { [input[0], channels, height, width] }

  /// For each output pixel some pixel of its window, as `h · W + w`.
  var someIndices: [Double] {
    func met(_ o: Int, _ stride: Int, _ before: Int, _ kernel: Int, _ dilation: Int, _ extent: Int)
      -> [Int]
    {
      (0..<kernel).map { o * stride - before + $0 * dilation }.filter { (0..<extent).contains($0) }
    }
    let w = window
    return (0..<input[0] * input[1]).flatMap { plane in
      (0..<height).flatMap { y in
        (0..<width).map { x in
          let rows = met(y, w.strideHeight, w.top, w.height, w.dilationHeight, input[2])
          let columns = met(x, w.strideWidth, w.left, w.width, w.dilationWidth, input[3])
          let (row, column) = (rows[(plane + x) % rows.count], columns[(plane + y) % columns.count])
          return Double(row * input[3] + column)
        }
      }
    }
  }
}

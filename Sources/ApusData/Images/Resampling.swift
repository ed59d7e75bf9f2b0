/// Scaling by a triangle filter that widens when it shrinks, so that no pixel is skipped.
///
/// The weights are those of Pillow's `BILINEAR` and of PyTorch's antialiased bilinear interpolation:
/// output `i` lies at `(i + ½) · scale`; inputs within `max(scale, 1)` of it count by their distance.
package struct Resampling {
  /// The inputs of one output: `weights` of the positions from `start`.
  private struct Taps {
    let start: Int
    let weights: [Float]
  }

  private let rows: [Taps]
  private let columns: [Taps]
  private let sourceHeight: Int
  private let sourceWidth: Int

  /// From `[height, width]` to `scaled`, of which only `window` is computed.
  package init(
    from source: ImageSize, to scaled: ImageSize, window: (rows: Range<Int>, columns: Range<Int>)
  ) {
    sourceHeight = source.height
    sourceWidth = source.width
    rows = Resampling.taps(source.height, scaled.height, window.rows)
    columns = Resampling.taps(source.width, scaled.width, window.columns)
  }

  private static func taps(_ source: Int, _ target: Int, _ window: Range<Int>) -> [Taps] {
    let scale = Double(source) / Double(target)
    let reach = max(scale, 1)
    return window.map { index in
      let center = (Double(index) + 0.5) * scale
      let start = max(Int((center - reach + 0.5).rounded(.down)), 0)
      let end = min(Int((center + reach + 0.5).rounded(.down)), source)
      var weights = (start..<max(end, start)).map { position in
        max(0, 1 - abs((Double(position) + 0.5 - center) / reach))
      }
      let total = weights.reduce(0, +)
      if total > 0 { weights = weights.map { $0 / total } }
      return Taps(start: start, weights: weights.map { Float($0) })
    }
  }

  /// Planes `[channels, height, width]`, of which the part from `origin` (a row and a column of rows
  /// `stride` apart) is the source; the result is `[channels] + window`.
  package func callAsFunction<Value: PixelValue>(
    _ values: [Value], channels: Int, origin: (row: Int, column: Int) = (0, 0),
    planeHeight: Int? = nil, stride: Int? = nil
  ) -> [Float] {
    let (stride, planeHeight) = (stride ?? sourceWidth, planeHeight ?? sourceHeight)
    var result: [Float] = []
    result.reserveCapacity(channels * rows.count * columns.count)
    // Only the source rows that some output needs.
    let first = rows.first?.start ?? 0
    let last = rows.last.map { $0.start + $0.weights.count } ?? 0
    var narrow = [Float](repeating: 0, count: max(last - first, 0) * columns.count)
    var line = [Float](repeating: 0, count: columns.count)
    for channel in 0..<channels {
      for row in first..<max(last, first) {
        let begin = (channel * planeHeight + origin.row + row) * stride + origin.column
        for (column, taps) in columns.enumerated() {
          var sum: Float = 0
          var place = begin + taps.start
          for weight in taps.weights {
            sum += weight * values[place].float
            place += 1
          }
          narrow[(row - first) * columns.count + column] = sum
        }
      }
      for taps in rows {
        for column in line.indices { line[column] = 0 }
        for (offset, weight) in taps.weights.enumerated() {
          let begin = (taps.start - first + offset) * columns.count
          for column in line.indices { line[column] += weight * narrow[begin + column] }
        }
        result.append(contentsOf: line)
      }
    }
    return result
  }
}

/// What pixels are kept as: bytes or floats.
package protocol PixelValue {
  var float: Float { get }
}

extension UInt8: PixelValue {
  package var float: Float { Float(self) }
}

extension Float: PixelValue {
  package var float: Float { self }
}

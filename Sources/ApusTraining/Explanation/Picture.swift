import ApusData

/// An image that is drawn into: `[channels, height, width]` of 0…1, red, green and blue.
struct Picture {
  let height: Int
  let width: Int
  private var values: [Float]

  init(height: Int, width: Int, shade: Float = 0) {
    self.height = height
    self.width = width
    values = [Float](repeating: shade, count: 3 * height * width)
  }

  subscript(row: Int, column: Int) -> (red: Float, green: Float, blue: Float) {
    get {
      let (place, plane) = (row * width + column, height * width)
      return (values[place], values[plane + place], values[2 * plane + place])
    }
    set {
      let (place, plane) = (row * width + column, height * width)
      values[place] = newValue.red
      values[plane + place] = newValue.green
      values[2 * plane + place] = newValue.blue
    }
  }

  /// Bytes for a PNG file.
  func array() throws -> HostArray {
    try HostArray(
      values.map { UInt8(($0.isNaN ? 0 : min(max($0, 0), 1)) * 255 + 0.5) },
      shape: [3, height, width])
  }

  /// Pictures of one size in rows, `zoom` pixels a value, with lines of 2 pixels between.
  static func grid(_ tiles: [Picture], zoom: Int) -> Picture {
    guard let first = tiles.first else { return Picture(height: 1, width: 1) }
    let (high, wide) = (first.height * zoom + 2, first.width * zoom + 2)
    // About twice as wide as high.
    let across = min(
      tiles.count,
      max(1, Int((2 * Double(tiles.count * high) / Double(wide)).squareRoot().rounded(.up))))
    let down = (tiles.count + across - 1) / across
    var sheet = Picture(height: down * high + 2, width: across * wide + 2, shade: 0.2)
    for (index, tile) in tiles.enumerated() {
      let (top, left) = (index / across * high + 2, index % across * wide + 2)
      for row in 0..<tile.height * zoom {
        for column in 0..<tile.width * zoom {
          sheet[top + row, left + column] = tile[row / zoom, column / zoom]
        }
      }
    }
    return sheet
  }

  /// From blue by green to red, as 0 goes to 1.
  static func heat(_ value: Float) -> (red: Float, green: Float, blue: Float) {
    func ramp(_ center: Float) -> Float { min(max(1.5 - abs(4 * value - center), 0), 1) }
    return (ramp(3), ramp(2), ramp(1))
  }
}

import ApusData
import ApusDevice

extension Explanation {
  /// No grid shows more planes.
  public static let planeLimit = 256

  /// The image, enlarged.
  public func imagePicture() throws -> HostArray {
    try Picture.grid([base], zoom: zoom).array()
  }

  /// The filters: in colour where the input has three channels, else each plane in gray. Gray is 0, the
  /// greatest magnitude of all filters black or white.
  public func filterPicture() throws -> HostArray {
    let largest = filters.values.reduce(Float.leastNormalMagnitude) { max($0, abs($1)) }
    let shades = filters.values.map { 0.5 + $0 / (2 * largest) }
    let depth = planesPerFilter == 3 ? 3 : 1
    let size = filters.height * filters.width
    let count = min(filters.channels / depth, Self.planeLimit)
    let tiles = (0..<count).map { tile(filters, shades, first: $0 * depth * size, depth: depth) }
    return try Picture.grid(tiles, zoom: max(1, 40 / max(filters.height, filters.width))).array()
  }

  /// The planes of one layer, each from its own least (black) to its greatest value (white).
  public func picture(of maps: Maps) throws -> HostArray {
    let size = maps.height * maps.width
    let tiles = (0..<min(maps.channels, Self.planeLimit)).map { channel in
      let plane = maps.values[channel * size..<(channel + 1) * size]
      let (low, high) = (plane.min() ?? 0, plane.max() ?? 0)
      let scale = high > low ? 1 / (high - low) : 0
      return tile(maps, plane.map { ($0 - low) * scale }, first: 0, depth: 1)
    }
    return try Picture.grid(tiles, zoom: max(1, 96 / max(maps.height, maps.width))).array()
  }

  /// The evidence in colours, red for much, half over the image.
  public func evidencePicture() throws -> HostArray {
    let base = base
    var overlay = Picture(height: base.height * zoom, width: base.width * zoom)
    for row in 0..<overlay.height {
      for column in 0..<overlay.width {
        let color = Picture.heat(
          strength(
            (Float(row) + 0.5) / Float(overlay.height), (Float(column) + 0.5) / Float(overlay.width)
          ))
        let pixel = base[row / zoom, column / zoom]
        overlay[row, column] = (
          (color.red + pixel.red) / 2, (color.green + pixel.green) / 2,
          (color.blue + pixel.blue) / 2
        )
      }
    }
    return try Picture.grid([overlay], zoom: 1).array()
  }

  private var zoom: Int { max(1, 256 / max(image.height, image.width)) }

  private var base: Picture {
    let depth = image.channels == 3 ? 3 : 1
    return tile(image, image.values.map { $0 / pixelMaximum }, first: 0, depth: depth)
  }

  private func tile(_ maps: Maps, _ shades: [Float], first: Int, depth: Int) -> Picture {
    var picture = Picture(height: maps.height, width: maps.width)
    let size = maps.height * maps.width
    for row in 0..<maps.height {
      for column in 0..<maps.width {
        let place = first + row * maps.width + column
        picture[row, column] =
          depth == 3
          ? (shades[place], shades[place + size], shades[place + 2 * size])
          : (shades[place], shades[place], shades[place])
      }
    }
    return picture
  }

  /// The evidence at a point of the image, between the four nearest values.
  /// - Parameters:
  ///   - y: 0 at the top edge, 1 at the bottom edge.
  ///   - x: The same from left to right.
  private func strength(_ y: Float, _ x: Float) -> Float {
    func neighbours(_ t: Float, _ count: Int) -> (Int, Int, Float) {
      let place = min(max(t * Float(count) - 0.5, 0), Float(count - 1))
      let low = Int(place)
      return (low, min(low + 1, count - 1), place - Float(low))
    }
    let (top, bottom, down) = neighbours(y, evidence.height)
    let (left, right, across) = neighbours(x, evidence.width)
    func at(_ row: Int, _ column: Int) -> Float { evidence.values[row * evidence.width + column] }
    let upper = at(top, left) + (at(top, right) - at(top, left)) * across
    let lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across
    return upper + (lower - upper) * down
  }
}

import ApusDevice

/// Where each pixel of a result comes from: `source = matrix · (pixel − centre) + offset + centre`.
package struct AffineMap: Hashable {
  /// `xx, xy, yx, yy`: how the source's x and y follow from the result's x and y.
  var xx = 1.0, xy = 0.0, yx = 0.0, yy = 1.0
  var x = 0.0, y = 0.0

  /// Without arguments nothing moves.
  package init(
    xx: Double = 1, xy: Double = 0, yx: Double = 0, yy: Double = 1, x: Double = 0, y: Double = 0
  ) {
    (self.xx, self.xy, self.yx, self.yy, self.x, self.y) = (xx, xy, yx, yy, x, y)
  }

  /// First this change of the image, then `next`.
  package func then(_ next: AffineMap) -> AffineMap {
    AffineMap(
      xx: xx * next.xx + xy * next.yx, xy: xx * next.xy + xy * next.yy,
      yx: yx * next.xx + yy * next.yx, yy: yx * next.xy + yy * next.yy,
      x: xx * next.x + xy * next.y + x, y: yx * next.x + yy * next.y + y)
  }

  /// Where the result's pixel at `(x, y)` from the centre comes from, also from the centre.
  package func apply(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
    (xx * x + xy * y + self.x, yx * x + yy * y + self.y)
  }

  /// To a multiple of 2⁻²⁰: libraries differ in the last bits of sines, results then do not.
  static func coarse(_ value: Double) -> Double { (value * 0x1p20).rounded() * 0x1p-20 }
}

/// A transform that moves pixels by an affine map. Neighbours in an ``Augmentation`` are joined, so
/// that the image is sampled once.
protocol AffineTransform: ImageTransform {
  func map(height: Int, width: Int, key: RandomKey) -> AffineMap
}

extension AffineTransform {
  public func apply(to image: inout RasterImage, key: RandomKey) {
    image.warp(map(height: image.height, width: image.width, key: key))
  }
}

extension RasterImage {
  /// Samples bilinearly; pixels outside are background. As PyTorch's `grid_sample` without aligned
  /// corners, with zeros outside where the background is 0.
  package mutating func warp(_ map: AffineMap) {
    guard map != AffineMap() else { return }
    let (centerX, centerY) = (Double(width - 1) / 2, Double(height - 1) / 2)
    let (height, width, plane) = (height, width, height * width)
    let pixels = values
    var warped = [Float](repeating: 0, count: pixels.count)
    for row in 0..<height {
      for column in 0..<width {
        let source = map.apply(Double(column) - centerX, Double(row) - centerY)
        let (sourceX, sourceY) = (source.x + centerX, source.y + centerY)
        let target = row * width + column
        guard sourceX > -1, sourceY > -1, sourceX < Double(width), sourceY < Double(height) else {
          for channel in 0..<channels { warped[channel * plane + target] = background[channel] }
          continue
        }
        let (left, top) = (floor(sourceX), floor(sourceY))
        let (right, bottom) = (Float(sourceX - Double(left)), Float(sourceY - Double(top)))
        let isInside = left >= 0 && top >= 0 && left + 1 < width && top + 1 < height
        for channel in 0..<channels {
          let place = channel * plane + top * width + left
          if isInside {
            warped[channel * plane + target] = mix(
              mix(pixels[place], pixels[place + 1], right),
              mix(pixels[place + width], pixels[place + width + 1], right), bottom)
            continue
          }
          func pixel(_ y: Int, _ x: Int) -> Float {
            y >= 0 && y < height && x >= 0 && x < width
              ? pixels[channel * plane + y * width + x] : background[channel]
          }
          warped[channel * plane + target] = mix(
            mix(pixel(top, left), pixel(top, left + 1), right),
            mix(pixel(top + 1, left), pixel(top + 1, left + 1), right), bottom)
        }
      }
    }
    values = warped
  }

  /// Of numbers that are known to fit, without a call of the mathematics library.
  private func floor(_ value: Double) -> Int {
    let whole = Int(value)
    return Double(whole) > value ? whole - 1 : whole
  }

  private func mix(_ a: Float, _ b: Float, _ share: Float) -> Float { a + (b - a) * share }
}

import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct AugmentationTests {
  /// Every pixel different; channels hundreds apart.
  private func ramp(_ channels: Int, _ height: Int, _ width: Int, background: Float = -1) throws
    -> RasterImage
  {
    let plane = height * width
    return try RasterImage(
      (0..<channels * plane).map { Float($0 / plane * 100 + $0 % plane) },
      shape: [channels, height, width], background: Array(repeating: background, count: channels))
  }

  private func changed(_ text: String, _ image: RasterImage, key: UInt64 = 1) throws -> RasterImage
  {
    var copy = image
    try Augmentation(parsing: text).apply(to: &copy, key: RandomKey(key))
    return copy
  }

  @Test func flips() throws {
    let image = try ramp(2, 2, 3)
    #expect(
      try changed("flip:1", image).values == [2, 1, 0, 5, 4, 3, 102, 101, 100, 105, 104, 103])
    #expect(
      try changed("vflip:1", image).values == [3, 4, 5, 0, 1, 2, 103, 104, 105, 100, 101, 102])
    #expect(try changed("flip:0,vflip:0", image) == image)
    #expect(try changed("flip:1,vflip:1,flip:1,vflip:1", image) == image)
    // Half of the keys, within five deviations of a fair coin.
    let flipped = try (0..<1000).filter { try changed("flip", image, key: $0) != image }.count
    #expect(abs(flipped - 500) < 80)
  }

  @Test func shifts() throws {
    var image = try ramp(1, 3, 3)
    image.shift(rows: 1, columns: -1)
    #expect(image.values == [-1, 3, 4, -1, 6, 7, -1, -1, -1])
    image.shift(rows: 0, columns: 3)
    #expect(image.values == Array(repeating: -1, count: 9))
    // The border of a crop is the largest shift, and each shift occurs.
    let small = try ramp(1, 5, 5)
    let results = try Set((0..<400).map { try changed("crop:1", small, key: $0).values })
    var shifts: Set<[Float]> = []
    for rows in -1...1 {
      for columns in -1...1 {
        var copy = small
        copy.shift(rows: rows, columns: columns)
        shifts.insert(copy.values)
      }
    }
    #expect(results == shifts)
  }

  /// `torch.nn.functional.grid_sample` through `Golden/make_images.py`.
  @Test func samplesAsPyTorch() throws {
    let golden = try NPZ.read(Golden.path("images.npz"))
    let source = try #require(golden["map image"])
    let third = 1 / 1.5
    let maps: [(String, AffineMap)] = [
      ("map rotated", Rotate.map(degrees: 30)), ("map scaled", AffineMap(xx: third, yy: third)),
      ("map general", AffineMap(xx: 0.8, xy: -0.3, yx: 0.25, yy: 1.1, x: 1.25, y: -0.75)),
    ]
    for (name, map) in maps {
      var image = try RasterImage(source.floats(), shape: source.shape)
      image.warp(map)
      let wanted = try #require(golden[name]).floats()
      let worst = zip(image.values, wanted).map { abs($0 - $1) }.max() ?? 1
      // Sines are rounded to 2⁻²⁰, at most 5 pixels from the centre.
      #expect(worst < 2e-5, "\(name): \(worst)")
    }
    let resample = Resampling(
      from: ImageSize(height: 5, width: 7), to: ImageSize(height: 4, width: 5),
      window: (0..<4, 0..<5))
    let scaled = resample(
      source.floats(), channels: 2, origin: (1, 2), planeHeight: 7, stride: 10)
    let wanted = try #require(golden["map 4x5"]).floats()
    #expect(zip(scaled, wanted).allSatisfy { abs($0 - $1) < 1e-5 } && scaled.count == wanted.count)
  }

  @Test func turnsByRightAnglesExactly() throws {
    var image = try ramp(2, 3, 3)
    image.warp(Rotate.map(degrees: 90))
    // Counterclockwise, as numpy.rot90.
    #expect(image.values.prefix(9) == [2, 5, 8, 1, 4, 7, 0, 3, 6])
    image.warp(Rotate.map(degrees: 90))
    #expect(image.values.prefix(9) == [8, 7, 6, 5, 4, 3, 2, 1, 0])
    image.warp(Rotate.map(degrees: 180))
    #expect(try image == ramp(2, 3, 3))
    #expect(try changed("rotate:0,translate:0,scale:1-1", image) == image)
  }

  @Test func movesByWholePixels() throws {
    let image = try ramp(1, 6, 8)
    for key in 0..<50 as Range<UInt64> {
      let moved = try changed("translate:0.25", image, key: key)
      // No mixture of pixels.
      #expect(moved.values.allSatisfy { $0 == $0.rounded() })
      #expect(moved.values.filter { $0 != -1 }.count >= 4 * 6)
    }
    // Twice as large: the middle fills the image; half as large: a border of background.
    let larger = try changed("scale:2-2", image)
    #expect(larger.values.min() ?? 0 > 0 && larger.values.max() ?? 99 < 47)
    let smaller = try changed("scale:0.5-0.5", image)
    #expect(smaller.values[0] == -1 && smaller.values[47] == -1)
  }

  /// Neighbouring maps are one sampling: there and back loses nothing.
  @Test func joinsAffineMaps() throws {
    let there = AffineMap(xx: 0.8, xy: -0.3, yx: 0.25, yy: 1.1, x: 1, y: 2)
    let scale = AffineMap(xx: 2, yy: 2)
    let joined = there.then(scale)
    // Point (1, 1) of the result: scale gives (2, 2), then the first map.
    #expect(abs(joined.apply(1, 1).x - (0.8 * 2 - 0.3 * 2 + 1)) < 1e-12)
    #expect(abs(joined.apply(1, 1).y - (0.25 * 2 + 1.1 * 2 + 2)) < 1e-12)
    let image = try ramp(1, 9, 9)
    var twice = image
    twice.warp(Rotate.map(degrees: 90).then(Rotate.map(degrees: -90)))
    #expect(twice == image)
  }

  @Test func adjustsColorAsTorchvision() throws {
    let golden = try NPZ.read(Golden.path("images.npz"))
    let source = try #require(golden["color"])
    var image = try RasterImage(source.floats(), shape: source.shape)
    image.adjust(brightness: 1.3, contrast: 0.6, saturation: 1.4)
    let wanted = try #require(golden["color adjusted"]).floats()
    // 255 in single precision, through three steps.
    #expect(zip(image.values, wanted).allSatisfy { abs($0 - $1) < 1e-3 })
    var gray = try RasterImage([10, 30], shape: [1, 1, 2])
    gray.adjust(brightness: 2, contrast: 0.5, saturation: 0)
    #expect(gray.values == [30, 50])
    for key in 0..<50 as Range<UInt64> {
      let jittered = try changed("color:1", ramp(3, 4, 4), key: key).values
      #expect(jittered.allSatisfy { $0 >= 0 && $0 <= 255 })
    }
    let plain = try ramp(3, 4, 4)
    // A factor of 1 leaves rounding errors of sums.
    #expect(
      zip(try changed("color:0", plain).values, plain.values).allSatisfy { abs($0 - $1) < 1e-3 })
  }

  @Test func cutsSquares() throws {
    let image = try ramp(2, 8, 8)
    var sizes: Set<Int> = []
    for key in 0..<300 as Range<UInt64> {
      let cut = try changed("cutout:4", image, key: key)
      let first = cut.values.prefix(64).map { $0 == -1 }
      #expect(first == cut.values.suffix(64).map { $0 == -1 })
      let rows = (0..<8).filter { row in (0..<8).contains { first[row * 8 + $0] } }
      let columns = (0..<8).filter { column in (0..<8).contains { first[$0 * 8 + column] } }
      #expect(first.filter { $0 }.count == rows.count * columns.count)
      sizes.insert(rows.count)
      for (a, b) in zip(cut.values, image.values) where a != -1 { #expect(a == b) }
    }
    // Whole squares, and squares over the border.
    #expect(sizes == [2, 3, 4])
  }

  @Test func cropsAndScales() throws {
    let image = try ramp(1, 12, 16)
    #expect(try changed("resized-crop:1-1", image, key: 4).shape == [1, 12, 16])
    for key in 0..<100 as Range<UInt64> {
      let crop = try changed("resized-crop:0.2-0.6", image, key: key)
      // A mean of pixels lies within them, and nothing comes from outside.
      #expect(crop.values.min() ?? -1 >= 0 && crop.values.max() ?? 999 <= 191)
      #expect(crop != image)
      // Rows ascend as in the image.
      #expect((0..<11).allSatisfy { crop.values[$0 * 16] <= crop.values[($0 + 1) * 16] })
    }
  }

  @Test func drawsMixtures() throws {
    let mixup = try Mixup(alpha: 0.2)
    var values: [Float] = [1, 2, 3, 4, 5, 6]
    let pairing = mixup.pairing(count: 3, key: RandomKey(5))
    #expect(pairing == mixup.pairing(count: 3, key: RandomKey(5)))
    #expect(pairing.partners.sorted() == [0, 1, 2])
    Mixup.mix(&values, size: 2, pairing)
    for (example, partner) in pairing.partners.enumerated() {
      for place in 0..<2 {
        let (a, b) = (Float(2 * example + place + 1), Float(2 * partner + place + 1))
        #expect(
          abs(values[2 * example + place] - (pairing.share * a + (1 - pairing.share) * b)) < 1e-6)
      }
    }
    // Beta(α, α) has mean ½ and variance 1 / (4 (2α + 1)); bounds are five standard errors.
    for alpha in [0.2, 1, 4] as [Float] {
      let mixup = try Mixup(alpha: alpha)
      let shares = (0..<4000).map {
        Double(mixup.pairing(count: 1, key: RandomKey($0)).share)
      }
      let mean = shares.reduce(0, +) / 4000
      let variance = shares.reduce(0) { $0 + ($1 - 0.5) * ($1 - 0.5) } / 4000
      let expected = 1 / (4 * (2 * Double(alpha) + 1))
      #expect(abs(mean - 0.5) < 5 * (expected / 4000).squareRoot())
      #expect(abs(variance - expected) < 0.06 * expected + 0.002, "\(alpha): \(variance)")
      #expect(shares.allSatisfy { $0 >= 0 && $0 <= 1 })
    }
  }

  /// The same on every machine: a sum recorded once.
  @Test func isTheSameEverywhere() throws {
    let text =
      "flip,vflip,crop:2,resized-crop:0.4-1,rotate:25,translate:0.2,scale:0.8-1.2,color:0.3,cutout:3"
    let image = try ramp(3, 10, 12)
    var sum = 0.0
    for key in 0..<8 as Range<UInt64> {
      let result = try changed(text, image, key: key)
      #expect(try result == changed(text, image, key: key))
      sum += result.values.enumerated().reduce(0) {
        $0 + Double($1.offset % 7 + 1) * Double($1.element)
      }
    }
    #expect(abs(sum - Self.recorded) < 1e-3, "\(sum)")
    #expect(try changed(text, image, key: 1) != changed(text, image, key: 2))
  }

  private static let recorded = 1050815.2990135849

  @Test func readsAndWritesTexts() throws {
    let text = "flip,vflip:0.25,crop:4,rotate:10.0,resized-crop:0.6-1.0,mixup:0.2"
    let augmentation = try Augmentation(
      parsing: " flip , vflip:0.25,crop:4,rotate:10,resized-crop:0.6-1,mixup:0.2")
    #expect(augmentation.description == text)
    let json = try JSONEncoder().encode([augmentation])
    #expect(try JSONDecoder().decode([Augmentation].self, from: json) == [augmentation])
    #expect(try Augmentation(parsing: "").isNone && Augmentation(parsing: "none") == .none)
    #expect(Augmentation.none.description == "none")
    for (bad, rule) in [
      ("flop", "'flop' is unknown"), ("flip,", "'' is unknown"), ("crop", "whole number"),
      ("crop:0", "whole number"), ("crop:1.5", "whole number"), ("rotate:nan", "number within"),
      ("scale:1.2-0.8", "ascending"), ("scale:1", "LOW-HIGH"), ("resized-crop:0-1", "LOW-HIGH"),
      ("flip:2", "number within"), ("mixup:0", "number within"), ("mixup", "mixup:ALPHA"),
      ("mixup:1,mixup:1", "at most once"), ("color:-1", "number within"),
    ] { expectError("augment", rule) { try Augmentation(parsing: bad) } }
    expectError("resized-crop:LOW-HIGH", "cutout:SIDE") { try Augmentation(parsing: "?") }
    expectError("no image") { try RasterImage([1, 2], shape: [2]) }
    expectError("no image") { try RasterImage([1, 2], shape: [1, 1, 3]) }
    expectError("2 values for 1") { try RasterImage([1], shape: [1, 1, 1], background: [1, 2]) }
  }
}

import ApusData
import ApusDevice
import Testing

/// Files that `Golden/make_images.py` wrote, beside what Pillow reads from them.
@Suite struct ImageFileTests {
  private let expected: [String: HostArray]

  init() throws { expected = try NPZ.read(Golden.path("images.npz")) }

  /// The greatest difference between two arrays of bytes of one shape.
  private func difference(_ image: HostArray, _ name: String) throws -> Int {
    let wanted = try #require(expected[name])
    try #require(image.shape == wanted.shape)
    return zip(image.bytes, wanted.bytes).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
  }

  @Test(arguments: ["baseline.jpg", "progressive.jpg", "gray.jpg"])
  func readsJPEG(name: String) throws {
    // Builds of libjpeg differ by a unit or two in the inverse transform and the colour conversion.
    #expect(try difference(ImageFile.read(Golden.path(name)), name) <= 2)
  }

  @Test func convertsChannels() throws {
    let gray = try JPEG.read(Golden.path("baseline.jpg"), channels: .gray)
    #expect(try difference(gray, "baseline.jpg gray") <= 2)
    let color = try JPEG.read(Golden.path("gray.jpg"), channels: .rgb)
    #expect(color.shape == [3, 19, 26])
    let plane = 19 * 26
    #expect(color.bytes[..<plane] == color.bytes[plane..<2 * plane])
    // Pillow and we both multiply ink by black without a profile; each rounds for itself.
    #expect(try difference(JPEG.read(Golden.path("cmyk.jpg")), "cmyk.jpg") <= 3)
    #expect(try JPEG.read(Golden.path("cmyk.jpg"), channels: .gray).shape == [1, 19, 26])
  }

  @Test(arguments: 2...8) func turnsUpright(orientation: Int) throws {
    let image = try ImageFile.read(Golden.path("turned\(orientation).jpg"))
    // Quality 95 moves the sharp edge of the disc by that much; a wrong turn differs by 200 and more.
    #expect(try difference(image, "upright") <= 40)
  }

  @Test func refusesDamage() throws {
    let bytes = try FileContents.read(Golden.path("baseline.jpg"))
    expectError("x.jpg", "damaged or cut off") { try JPEG.decode([], name: "x.jpg") }
    expectError("damaged or cut off") { try JPEG.decode([1, 2, 3], name: "x.jpg") }
    for count in [2, 20, bytes.count / 2, bytes.count - 20] {
      expectError("x.jpg", "damaged or cut off") {
        try JPEG.decode(Array(bytes.prefix(count)), name: "x.jpg")
      }
    }
    expectError("26 × 19", "more than 100") {
      try JPEG.decode(bytes, name: "x.jpg", pixelLimit: 100)
    }
    // The frame header claims 65 500 × 500.
    var lying = bytes
    let frame = try #require(
      lying.indices.first { lying[$0] == 0xFF && lying[$0 + 1] == 0xC0 })
    lying.replaceSubrange(frame + 5..<frame + 9, with: [0x01, 0xF4, 0xFF, 0xDC])
    expectError("65500 × 500", "cannot hold") { try JPEG.decode(lying, name: "x.jpg") }
  }

  @Test func tellsFormatsByContents() throws {
    let scratch = try Scratch()
    let path = try scratch.write(FileContents.read(Golden.path("gray.jpg")), "a.png")
    #expect(try ImageFile.read(path).shape == [1, 19, 26])
    let text = try scratch.write("GIF89a", "b.jpg")
    expectError("b.jpg", "neither a PNG nor a JPEG") { try ImageFile.read(text) }
    let empty = try scratch.write("", "c.jpg")
    expectError("is empty") { try ImageFile.read(empty) }
    #expect(ImageFile.isNamed("a/b.JPeG") && !ImageFile.isNamed("a.jpg/b"))
  }

  @Test func scalesAsPillow() throws {
    let noise = try #require(expected["noise"])
    // Pillow rounds between its two passes.
    #expect(try difference(noise.imageCovering(ImageSize(6)), "noise covering 6") <= 1)
    for (height, width) in [(5, 8), (23, 20)] {
      let resample = Resampling(
        from: ImageSize(height: 11, width: 17), to: ImageSize(height: height, width: width),
        window: (0..<height, 0..<width))
      let bytes = resample(noise.floats(), channels: 3).map { UInt8($0.rounded()) }
      let scaled = try HostArray(bytes, shape: [3, height, width])
      #expect(try difference(scaled, "noise \(height)x\(width)") <= 1)
    }
    #expect(try noise.imageCovering(ImageSize(height: 11, width: 17)) == noise)
    expectError("0x0") { try noise.imageCovering(ImageSize(0)) }
    expectError("float32") {
      try HostArray([0] as [Float], shape: [1, 1, 1]).imageCovering(ImageSize(2))
    }
  }

  /// The middle of a larger one: what is cut away has no influence.
  @Test func coversWithoutDistortion() throws {
    let wide = try HostArray((0..<12).map { UInt8($0) }, shape: [1, 2, 6])
    #expect(try wide.imageCovering(ImageSize(2)).bytes == [2, 3, 8, 9])
    let tall = try HostArray((0..<12).map { UInt8($0) }, shape: [1, 6, 2])
    #expect(try tall.imageCovering(ImageSize(2)).bytes == [4, 5, 6, 7])
    // Doubling keeps corners, shrinking to one pixel takes the mean.
    let square = try HostArray([0, 100, 100, 200] as [UInt8], shape: [1, 2, 2])
    #expect(try square.imageCovering(ImageSize(1)).bytes == [100])
    #expect(
      try square.imageCovering(ImageSize(4)).bytes == [
        0, 25, 75, 100, 25, 50, 100, 125, 75, 100, 150, 175, 100, 125, 175, 200,
      ])
  }
}

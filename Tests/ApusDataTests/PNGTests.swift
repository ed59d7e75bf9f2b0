import ApusData
import ApusDevice
import Testing

@Suite struct PNGTests {
  private func read(_ name: String, _ channels: PNG.Channels = .asStored) throws -> HostArray {
    try PNG.read(Golden.path(name), channels: channels)
  }

  @Test func readsKinds() throws {
    let gray = try read("gray.png")
    #expect(gray.shape == [1, 2, 3])
    #expect(gray.bytes == [0, 128, 255, 1, 2, 3])
    let color = try read("rgb.png")
    #expect(color.shape == [3, 2, 2])
    #expect(color.bytes == [255, 0, 0, 9, 0, 255, 0, 8, 0, 0, 255, 7])
    #expect(try read("gray.png", .rgb).shape == [3, 2, 3])
    #expect(try read("rgb.png", .gray).shape == [1, 2, 2])
    let bits = try read("bits.png")
    #expect(bits.shape == [1, 2, 9])
    #expect(bits.bytes.prefix(9) == [255, 0, 255, 0, 255, 0, 255, 0, 255])
    let palette = try read("palette.png")
    #expect(palette.bytes == [255, 10, 0, 255, 20, 0, 255, 30, 0])
    #expect(try read("alpha.png").bytes == [200, 255, 100, 255, 50, 255])
    let dark = try PNG.read(Golden.path("alpha.png"), background: 0)
    #expect(dark.bytes == [200, 0, 100, 0, 50, 0])
  }

  /// Files of every kind, beside what `Golden/make_pngs.py` had Pillow make of them.
  @Test func readsEveryKind() throws {
    let expected = try NPZ.read(Golden.path("pngs.npz"))
    let names = expected.keys.filter { $0.hasSuffix(" file") }.map { String($0.dropLast(5)) }
    #expect(names.count == 60)
    for name in names.sorted() {
      let file = try #require(expected[name + " file"]).bytes
      // Laying over white is rounded there in float64.
      let isOpaque = !["tRNS", "color 4", "color 6"].contains { name.contains($0) }
      func check(_ image: HostArray, _ wanted: String) throws {
        let wanted = try #require(expected[wanted])
        try #require(image.shape == wanted.shape, "\(name)")
        let worst = zip(image.bytes, wanted.bytes).reduce(0) {
          max($0, abs(Int($1.0) - Int($1.1)))
        }
        #expect(worst <= (isOpaque ? 0 : 1), "\(name)")
      }
      try check(PNG.decode(file, name: name), name)
      try check(PNG.decode(file, name: name, channels: .gray), name + " gray")
    }
  }

  /// Colour to gray and transparency, in the stored values.
  @Test func mixesStoredValues() throws {
    let primaries = try HostArray([255, 0, 0, 0, 255, 0, 0, 0, 255] as [UInt8], shape: [3, 1, 3])
    let file = try PNG.encode(primaries)
    #expect(try PNG.decode(file, name: "x", channels: .gray).bytes == [76, 150, 29])
    // One pixel of black, half transparent: Pillow's `Image.new("LA", (1, 1), (0, 128))`.
    let half = try read("half.png")
    #expect(half.bytes == [127])
    #expect(try PNG.read(Golden.path("half.png"), channels: .rgb).bytes == [127, 127, 127])
    #expect(try PNG.read(Golden.path("half.png"), background: 0).bytes == [0])
  }

  @Test func writesWhatItReads() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/a.png"
    for shape in [[1, 4, 6], [3, 4, 2]] {
      let image = try HostArray((0..<24).map { UInt8($0 * 10) }, shape: shape)
      try PNG.write(image, to: path)
      #expect(try PNG.read(path) == image)
    }
    expectError("[2, 3]") {
      try PNG.encode(HostArray([UInt8](repeating: 0, count: 6), shape: [2, 3]))
    }
    expectError("float32") { try PNG.encode(HostArray([0] as [Float], shape: [1, 1, 1])) }
    expectError("[1, 0, 3]") { try PNG.encode(HostArray([] as [UInt8], shape: [1, 0, 3])) }
  }

  @Test func refusesDamageAndSize() throws {
    expectError("x", "libpng") { try PNG.decode([1, 2, 3], name: "x") }
    expectError("x", "libpng") { try PNG.decode([], name: "x") }
    let bytes = try FileContents.read(Golden.path("rgb.png"))
    for count in [8, 50, bytes.count - 20] {
      expectError("x", "libpng") { try PNG.decode(Array(bytes.prefix(count)), name: "x") }
    }
    // A checksum that is wrong, of the header and of the pixels.
    for place in [29, bytes.count - 13] {
      var damaged = bytes
      damaged[place] ^= 1
      expectError("x", "CRC") { try PNG.decode(damaged, name: "x") }
    }
    expectError("2 × 2", "more than 3") { try PNG.decode(bytes, name: "x", pixelLimit: 3) }
    expectError("50000 × 600", "cannot hold") { try read("claim.png") }
  }
}

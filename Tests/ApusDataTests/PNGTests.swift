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
    expectError("libpng") { try PNG.decode(Array(bytes.prefix(50)), name: "x") }
    expectError("2 × 2", "more than 3") { try PNG.decode(bytes, name: "x", pixelLimit: 3) }
    expectError("50000 × 600", "cannot hold") { try read("claim.png") }
  }
}

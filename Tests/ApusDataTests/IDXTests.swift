import ApusData
import ApusDevice
import Testing

@Suite struct IDXTests {
  @Test func decodesEveryType() throws {
    func decode(_ type: UInt8, _ body: [UInt8]) throws -> HostArray {
      try IDX.decode([0, 0, type, 1, 0, 0, 0, 2] + body, name: "x")
    }
    #expect(try decode(8, [1, 255]).int32s() == [1, 255])
    #expect(try decode(9, [1, 255]).int32s() == [1, -1])
    #expect(try decode(11, [1, 2, 0xFF, 0xFE]).int32s() == [258, -2])
    #expect(try decode(12, [0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF]).int32s() == [256, -1])
    #expect(try decode(13, [0x3F, 0x80, 0, 0, 0xC0, 0, 0, 0]).floats() == [1, -2])
    let double = try decode(14, [0x3F, 0xF0, 0, 0, 0, 0, 0, 0] + [0xC0, 0, 0, 0, 0, 0, 0, 0])
    #expect(double.dtype == .float64)
    #expect(double.floats() == [1, -2])
  }

  @Test func writesWhatItReads() throws {
    let scratch = try Scratch()
    for array in [
      try HostArray([1, 2, 3, 4, 5, 6] as [UInt8], shape: [1, 2, 3]),
      try HostArray([1, -2] as [Int32], shape: [2]), try HostArray([1.5] as [Float], shape: []),
      try HostArray([] as [Float], shape: [0, 3]),
    ] {
      for name in ["a.idx", "a.idx.gz"] {
        try IDX.write(array, to: scratch.path + "/" + name)
        #expect(try IDX.read(scratch.path + "/" + name) == array)
      }
    }
    expectError("bool") {
      try IDX.encode(HostArray(shape: [1], dtype: .bool, bytes: [1]))
    }
  }

  @Test func refusesDamage() throws {
    expectError("two zero bytes") { try IDX.decode([1, 2, 3, 4], name: "x") }
    expectError("two zero bytes") { try IDX.decode([], name: "x") }
    expectError("0x7") { try IDX.decode([0, 0, 7, 1], name: "x") }
    expectError("x", "truncated", "rank 255") { try IDX.decode([0, 0, 8, 255, 0], name: "x") }
    expectError("[5]", "5 bytes", "has 2") {
      try IDX.decode([0, 0, 8, 1, 0, 0, 0, 5, 1, 2], name: "x")
    }
    let huge = [UInt8](repeating: 0xFF, count: 12)
    expectError("more than fits") { try IDX.decode([0, 0, 14, 3] + huge, name: "x") }
    let scratch = try Scratch()
    let whole = try Zlib.deflate([0, 0, 8, 1, 0, 0, 0, 1, 9], .gzip, name: "x")
    expectError("truncated") { try IDX.read(scratch.write(Array(whole.dropLast(9)), "a.gz")) }
    var damaged = whole
    damaged[damaged.count - 6] ^= 1
    expectError("damaged") { try IDX.read(scratch.write(damaged, "b.gz")) }
    expectError("no such file") { try IDX.read(scratch.path + "/absent") }
    expectError("folder") { try IDX.read(scratch.path) }
  }

  @Test func unpacksSeveralMembersAndHonoursTheLimit() throws {
    let one = try Zlib.deflate([1, 2, 3], .gzip, name: "x")
    #expect(try Zlib.gunzip(one + one, name: "x") == [1, 2, 3, 1, 2, 3])
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    let bomb = try Zlib.deflate(zeros, .gzip, name: "x")
    #expect(try Zlib.gunzip(bomb, name: "x") == zeros)
    expectError("refused") { try Zlib.gunzip(bomb, name: "x", limit: 1 << 19) }
  }

  @Test func digestsAsPublished() {
    // RFC 1321, appendix A.5.
    #expect(MD5.hexadecimal(of: []) == "d41d8cd98f00b204e9800998ecf8427e")
    #expect(MD5.hexadecimal(of: Array("abc".utf8)) == "900150983cd24fb0d6963f7d28e17f72")
    let digits = String(repeating: "1234567890", count: 8)
    #expect(MD5.hexadecimal(of: Array(digits.utf8)) == "57edf4a22be3c955ac49da2e2107b67a")
  }
}

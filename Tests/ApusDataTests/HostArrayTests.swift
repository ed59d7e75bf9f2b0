import ApusData
import ApusDevice
import Testing

@Suite struct HostArrayTests {
  @Test func converts() throws {
    #expect(try HostArray([1.5, -2] as [Float], shape: [2]).floats() == [1.5, -2])
    #expect(try HostArray([1, -2] as [Int32], shape: [1, 2]).floats() == [1, -2])
    #expect(try HostArray([0, 255] as [UInt8], shape: [2]).int32s() == [0, 255])
    #expect(try HostArray([3, 4] as [Float], shape: [2]).int32s() == [3, 4])
    let half = try HostArray(
      shape: [5], dtype: .float16, bytes: [0, 0x3C, 1, 0, 0, 0xFC, 0xFF, 0x7B, 0, 0xC0])
    #expect(half.floats() == [1, 0x1p-24, -.infinity, 65504, -2])
    let brain = try HostArray(shape: [1], dtype: .bfloat16, bytes: [0x80, 0x3F])
    #expect(brain.floats() == [1])
    let flags = try HostArray(shape: [2], dtype: .bool, bytes: [2, 0])
    #expect(flags.floats() == [1, 0])
    #expect(try flags.int32s() == [1, 0])
  }

  @Test func refusesWhatDoesNotFit() throws {
    expectError("[3]", "12 bytes", "8 were given") { try HostArray([1, 2] as [Float], shape: [3]) }
    expectError("[-1]") { try HostArray([] as [Float], shape: [-1]) }
    expectError("fit in memory") { try HostArray([] as [UInt8], shape: [1 << 40, 1 << 40]) }
    expectError("element 1", "0.5") { try HostArray([1, 0.5] as [Float], shape: [2]).int32s() }
    expectError("element 0") { try HostArray([Float.nan], shape: [1]).int32s() }
    #expect(try HostArray([] as [Float], shape: [0, 4]).count == 0)
  }
}

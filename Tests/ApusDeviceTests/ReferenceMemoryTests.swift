import ApusDevice
import ApusReference
import Testing

@Suite struct ReferenceMemoryTests {
  @Test func memoryIsReused() throws {
    let device = ReferenceBackend()
    for _ in 0..<10 { _ = try device.allocate(byteCount: 1000) }
    let counters = device.counters
    #expect(counters.allocations == 1)
    #expect(counters.poolHits == 9)
    #expect(counters.bytesInUse == 0)
    #expect(counters.peakBytesInUse == 1024)
  }

  @Test func launchesAndWaitsAreCounted() throws {
    let device = ReferenceBackend()
    let x = try device.temporary([4])
    try device.enqueue(.fill(1), [], [x])
    try device.enqueue(.unary(.exp), [x], [x])
    try device.synchronize()
    #expect(device.counters.launches == 2)
    #expect(device.counters.synchronizations == 1)
  }

  @Test func absurdRequestsAreRefused() throws {
    let device = ReferenceBackend()
    #expect(throws: ApusError.self) { _ = try device.allocate(byteCount: -1) }
    #expect(throws: ApusError.self) { _ = try device.allocate(byteCount: .max) }
    let storage = try device.allocate(byteCount: 8)
    var bytes = [UInt8](repeating: 0, count: 9)
    bytes.withUnsafeMutableBytes { buffer in
      #expect(throws: ApusError.self) {
        try device.download(storage, byteOffset: 0, into: buffer)
      }
      #expect(throws: ApusError.self) {
        try device.upload(UnsafeRawBufferPointer(buffer), to: storage, byteOffset: .max)
      }
    }
    let other = try ReferenceBackend().allocate(byteCount: 8)
    #expect(throws: ApusError.self) {
      try device.upload(UnsafeRawBufferPointer(start: nil, count: 0), to: other, byteOffset: 0)
    }
  }

  @Test func errorsNameOperationAndRule() throws {
    let device = ReferenceBackend()
    let x = try upload([1, 2, 3], [3], .float32, to: device)
    let index = try upload([0, 3], [2], .int32, to: device)
    let out = try device.temporary([2])
    let error = #expect(throws: ApusError.self) {
      try device.enqueue(.take(axis: 0), [x, index], [out])
    }
    #expect(error?.description.hasPrefix("[take] index 3 is out of range") == true)
  }
}

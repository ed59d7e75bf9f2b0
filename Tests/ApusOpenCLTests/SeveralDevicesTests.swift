import ApusConformance
import ApusDevice
import ApusOpenCL
import Foundation
import Testing

/// Two halves of a device stand for two devices.
@Suite struct SeveralDevicesTests {
  /// Devices of two and more units alone have halves.
  private static let hasHalves = (try? OpenCLBackend(part: 1, of: 2)) != nil

  private func sum(_ device: OpenCLBackend, _ count: Int, _ value: Double) throws -> Float {
    let x = try device.temporary([count])
    try device.enqueue(.fill(value), [], [x])
    let y = try device.temporary([count])
    try device.enqueue(.binary(.add), [x, x], [y])
    let total = try device.temporary([1])
    try device.enqueue(.reduce(.sum, axes: [0]), [y], [total])
    var result: Float = 0
    try withUnsafeMutableBytes(of: &result) {
      try device.download(total.storage, byteOffset: 0, into: $0)
    }
    return result
  }

  @Test(.enabled(if: hasHalves)) func halvesComputeAtOnce() async throws {
    let halves = try (0..<2).map { try OpenCLBackend(part: $0, of: 2) }
    let whole = try OpenCLBackend()
    #expect(2 * halves[0].description.computeUnits <= 1 + whole.description.computeUnits)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for (index, device) in halves.enumerated() {
        for thread in 0..<3 {
          group.addTask {
            try (0..<20).allSatisfy { round in
              let count = 1000 + 100 * thread + round
              let value = Double(1 + index)
              return try self.sum(device, count, value) == Float(2 * count) * Float(value)
            }
          }
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    // The memory of one is not the other's.
    let stranger = try halves[0].temporary([4])
    #expect(throws: ApusError.self) {
      try halves[1].enqueue(.copy, [stranger], [try halves[1].temporary([4])])
    }
  }

  @Test(.enabled(if: hasHalves)) func halvesConform() throws {
    for part in 0..<2 {
      var conformance = Conformance(try OpenCLBackend(part: part, of: 2))
      for opCase in OpCase.all where ["gemm", "softmax", "copy"].contains(opCase.name) {
        conformance.check(opCase.reduced(to: 2000))
      }
      #expect(conformance.problems == [])
    }
  }

  /// A device that fails gives an error at the next read, and its memory is free afterwards; another one
  /// goes on.
  @Test func failureSurfacesAtTheNextRead() throws {
    let (failing, healthy) = (try OpenCLBackend(), try OpenCLBackend())
    #expect(try sum(failing, 5000, 1) == 10_000)
    let before = failing.counters.bytesInUse
    failing.injectFailure()
    do {
      let x = try failing.temporary([1000])
      // Taken without complaint: a queue does not know yet.
      try failing.enqueue(.fill(1), [], [x])
      try failing.enqueue(
        .softmax, [x.with(Layout(contiguous: [10, 100]))], [x.with(Layout(contiguous: [10, 100]))])
      let error = #expect(throws: ApusError.self) { try failing.synchronize() }
      #expect(error?.kind == .device && error?.message.contains("CL_OUT_OF_RESOURCES") == true)
      #expect(throws: ApusError.self) { _ = try sum(failing, 10, 1) }
    }
    #expect(failing.counters.bytesInUse == before)
    #expect(try sum(healthy, 5000, 3) == 30_000)
  }

  /// A context takes the binary of a program while another one runs its kernel, which ended the process on
  /// PoCL 3.1. In a process of its own, where nobody has taken it before.
  @Test(.timeLimit(.minutes(5))) func aBinaryIsTakenWhileAnotherContextRuns() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-binary-\(UUID().uuidString)"
    ).path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // Whoever loads a program has not taken its binary.
    try transposes(try OpenCLBackend(cacheFolder: folder + "/stored"), count: 1)
    await #expect(processExitsWith: .success) { [folder = folder as String] in
      let running = try OpenCLBackend(cacheFolder: folder + "/stored")
      let building = try OpenCLBackend(cacheFolder: folder + "/empty")
      try transposes(running, count: 1)
      let runs = Task { while !Task.isCancelled { try transposes(running, count: 20) } }
      try transposes(building, count: 1)
      runs.cancel()
      try await runs.value
    }
  }

  /// Processes that build the same programs at once leave whole entries behind.
  @Test func writersShareTheCache() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-cache-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let cache = ProgramCache(environment: ["APUS_CACHE": folder.path])
    await withTaskGroup(of: Void.self) { group in
      for writer in 0..<8 {
        group.addTask {
          for round in 0..<50 {
            let key = "k\(round % 5)"
            cache.store(
              key: key, binary: [UInt8](repeating: UInt8(round % 5), count: 4000 + writer))
            if let read = cache.load(key: key) {
              #expect(read.allSatisfy { $0 == UInt8(round % 5) })
            }
          }
        }
      }
    }
    let census = cache.census()
    #expect(census.count == 5 && census.damaged == [] && census.leftovers == 0)
    // A whole entry under another program's name is not taken for that program's.
    let (own, other) = (folder.path + "/programs/k1.bin", folder.path + "/programs/k2.bin")
    try FileManager.default.removeItem(atPath: own)
    try FileManager.default.copyItem(atPath: other, toPath: own)
    #expect(cache.load(key: "k1") == nil && cache.load(key: "k2") != nil)
    #expect(cache.census().damaged == ["k1.bin"])
  }
}

/// Copies a large matrix with its axes exchanged; each copy is one kernel.
private func transposes(_ device: OpenCLBackend, count: Int) throws {
  let side = 768
  let (x, out) = (try device.temporary([side, side]), try device.temporary([side, side]))
  try device.enqueue(.fill(1), [], [x])
  for _ in 0..<count {
    try device.enqueue(.copy, [x.with(x.layout.permuted([1, 0]))], [out])
  }
  try device.synchronize()
}

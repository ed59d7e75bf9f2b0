import ApusConformance
import ApusDevice
import ApusOpenCL
import Foundation
import Testing

/// Devices with limits below those of the machine's.
@Suite struct LimitTests {
  private func agrees(
    _ device: any Backend, _ filter: (OpCase) -> Bool, largest: Int = 4500
  ) -> [String] {
    var conformance = Conformance(device)
    for opCase in OpCase.all where filter(opCase) { conformance.check(opCase.reduced(to: largest)) }
    return conformance.problems
  }

  @Test func descriptionSaysWhatTheDriverSays() throws {
    let device = try OpenCLBackend()
    let said = device.description
    #expect(said.largestWorkGroup > 0 && !said.largestWorkItems.isEmpty)
    #expect(said.localMemory >= 32 << 10 && said.argumentSize >= 256)
    #expect(said.largestAllocation > 0 && said.largestAllocation <= said.globalMemory)
    #expect(said.vectorWidths.float32 >= 1 && said.vectorWidths.int8 >= said.vectorWidths.int32)
    #expect(said.hasFloat64 == (said.vectorWidths.float64 > 0))
    if said.type == .cpu { #expect(!said.hasInlinePTX && said.kind == .cpu) }
    let json = try JSONEncoder().encode(said)
    let read = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    for key in ["hasSubGroups", "hasFloat16", "hasIntegerDotProduct", "hasUnifiedMemory"] {
      #expect(read[key] is Bool, "\(key)")
    }
  }

  /// Kernels of GPUs need groups of 256; a GPU that has smaller ones gets the kernels of CPUs.
  @Test func smallWorkGroups() throws {
    let device = try OpenCLBackend(limits: OpenCLLimits(largestWorkGroup: 64))
    #expect(device.description.kind == .cpu && device.description.largestWorkGroup == 64)
    #expect(agrees(device) { ["softmax", "gemm"].contains($0.name) } == [])
  }

  /// A list of twelve operands does not fit 256 bytes of arguments: commands run one by one.
  @Test func fewArguments() throws {
    let device = try OpenCLBackend(limits: OpenCLLimits(argumentSize: 256))
    let usual = try OpenCLBackend()
    func launches(_ device: OpenCLBackend) throws -> (Int, [Float]) {
      let x = try device.temporary([1000])
      try device.enqueue(.fill(0.5), [], [x])
      try device.synchronize()
      let before = device.counters.launches
      var y = x
      for _ in 0..<5 {
        let z = try device.temporary([1000])
        try device.enqueue(.binary(.add), [y, x], [z])
        y = z
      }
      var values = [Float](repeating: 0, count: 1000)
      try values.withUnsafeMutableBytes {
        try device.download(y.storage, byteOffset: 0, into: $0)
      }
      return (device.counters.launches - before, values)
    }
    // The first run fills the pools: a chain ends where the driver has to be asked for memory.
    _ = (try launches(usual), try launches(device))
    let (one, many) = (try launches(usual), try launches(device))
    #expect(one.0 == 1 && many.0 == 5)
    #expect(one.1 == many.1)
  }

  /// Less local memory means smaller blocks, not other results.
  @Test func littleLocalMemory() throws {
    let device = try OpenCLBackend(limits: OpenCLLimits(localMemory: 32 << 10))
    #expect(agrees(device) { $0.name.hasPrefix("gemm") || $0.name.hasPrefix("softmax") } == [])
  }

  /// Convolutions whose padded copy of the images passes the largest buffer run in halves.
  @Test func workSpaceIsCut() throws {
    let convolution = Convolution(
      Window(height: 7, width: 7, top: 3, bottom: 3, left: 3, right: 3))
    let operands: [([Int], seed: Int)] = [
      ([16, 3, 48, 48], 1), ([2, 3, 7, 7], 2), ([16, 2, 48, 48], 3),
    ]
    func results(_ device: OpenCLBackend) throws -> [[Float]] {
      let placed = try operands.map { try upload($0, seed: $1, to: device) }
      let outputs = try [[16, 2, 48, 48], [2, 3, 7, 7], [2]].map { try device.temporary($0) }
      try device.enqueue(
        .convolution(convolution, activation: nil), [placed[0], placed[1]], [outputs[0]])
      try device.enqueue(
        .convolutionWeightGradient(convolution), [placed[0], placed[2]], Array(outputs[1...]))
      return try outputs.map { try download(device, $0) }
    }
    // The images have 432 KiB; with their padding, 54 x 54 pixels, 547.
    let small = try OpenCLBackend(
      kind: .cpu, limits: OpenCLLimits(largestAllocation: 500 << 10))
    let (whole, cut) = (try results(try OpenCLBackend(kind: .cpu)), try results(small))
    for (a, b) in zip(whole, cut) {
      let scale = a.map(abs).max() ?? 0
      #expect(a.count == b.count && scale > 0)
      #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * scale })
    }
  }

  /// What cannot be cut names who asked, for what, and what is in use.
  @Test func shortageIsNamed() throws {
    let device = try OpenCLBackend(limits: OpenCLLimits(largestAllocation: 1 << 20))
    let error = #expect(throws: ApusError.self) { _ = try device.temporary([1 << 20]) }
    #expect(error?.kind == .outOfMemory)
    #expect(error?.message.contains("4 MiB") == true && error?.message.contains("1 MiB") == true)
  }

  private func upload(_ shape: [Int], seed: Int, to device: OpenCLBackend) throws -> Operand {
    let operand = try device.temporary(shape)
    let values = (0..<operand.count).map { Float(($0 * 7919 + seed * 104729) % 1009) / 1009 - 0.5 }
    try values.withUnsafeBytes { try device.upload($0, to: operand.storage, byteOffset: 0) }
    return operand
  }

  private func download(_ device: OpenCLBackend, _ operand: Operand) throws -> [Float] {
    var values = [Float](repeating: 0, count: operand.count)
    try values.withUnsafeMutableBytes {
      try device.download(operand.storage, byteOffset: 0, into: $0)
    }
    return values
  }
}

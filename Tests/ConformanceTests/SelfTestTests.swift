import ApusConformance
import ApusDevice
import ApusReference
import Foundation
import Testing

/// The self test finds what is wrong with a device, and does not find what is right.
@Suite struct SelfTestTests {
  private func rows(
    _ filter: String, _ device: any Backend, twin: (any Backend)? = nil
  ) -> [SelfTest.Row] {
    var test = SelfTest(device) { twin }
    return SelfTest.cases(matching: filter).map { $0.reduced(to: 300) }
      .flatMap { test.rows(of: $0) }
  }

  @Test func rightDevicePasses() {
    let rows = rows("softmax", ReferenceBackend())
    #expect(Set(rows.map(\.operation)).isSuperset(of: ["softmax", "softmaxBackward"]))
    for row in rows {
      #expect(row.verdict == .pass && row.problems.isEmpty && row.dtype == "float32")
      #expect((row.error ?? .infinity) <= row.allowed && row.trials > 0)
    }
  }

  @Test func wrongDeviceIsBlamed() throws {
    let (right, wrong) = (ReferenceBackend(), FaultyBackend(.wrongValue))
    for (twin, verdict) in [
      (nil, SelfTest.Verdict.fail), (FaultyBackend(.wrongValue), .wrongKernel),
      (right, .wrongDriver),
    ] as [((any Backend)?, SelfTest.Verdict)] {
      let rows = rows("unary relu", wrong, twin: twin)
      #expect(rows.count == 1)
      let row = try #require(rows.first)
      #expect(row.verdict == verdict && row.verdict.isFailure)
      #expect((row.error ?? .infinity) > 0 && !row.problems.isEmpty)
    }
    #expect(rows("unary sign", wrong).allSatisfy { $0.verdict == .pass })
  }

  @Test(arguments: [FaultyBackend.Fault.wrongNumber, .strayWrite, .failure])
  func everyFaultIsFound(fault: FaultyBackend.Fault) {
    let rows = rows("unary relu", FaultyBackend(fault))
    #expect(rows.allSatisfy { $0.verdict == .fail } && !rows.isEmpty)
    #expect(rows.allSatisfy { fault == .strayWrite || $0.error == nil })
  }

  /// float64 is optional in OpenCL; a type that is not may not be refused.
  @Test func refusedTypes() {
    let rows = rows("copy", FaultyBackend(.noFloat64))
    #expect(rows.contains { $0.verdict == .unsupported })
    for row in rows {
      #expect(row.verdict == (row.dtype.contains("float64") ? .unsupported : .pass), "\(row.dtype)")
    }
    #expect(self.rows("unary relu", FaultyBackend(.noFloat32)).allSatisfy { $0.verdict == .fail })
  }
}

/// The reference with one thing wrong.
final class FaultyBackend: Backend {
  enum Fault: Sendable { case wrongValue, wrongNumber, strayWrite, failure, noFloat64, noFloat32 }

  private let right = ReferenceBackend()
  private let fault: Fault

  init(_ fault: Fault) { self.fault = fault }

  var info: DeviceInfo { right.info }
  var counters: DeviceCounters { right.counters }
  func limitMemory(to byteCount: Int?) { right.limitMemory(to: byteCount) }
  func allocate(byteCount: Int) throws -> Storage { try right.allocate(byteCount: byteCount) }
  func upload(_ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int) throws {
    try right.upload(bytes, to: storage, byteOffset: byteOffset)
  }
  func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws { try right.download(storage, byteOffset: byteOffset, into: bytes) }
  func synchronize() throws { try right.synchronize() }

  func enqueue(_ command: Command) throws {
    let operands = command.inputs + command.outputs
    if fault == .noFloat64, operands.contains(where: { $0.dtype == .float64 }) {
      throw ApusError(.dtype, operation: "copy", "no float64 here")
    }
    guard case .unary(.relu) = command.operation, let out = command.outputs.first, out.count > 0
    else { return try right.enqueue(command) }
    switch fault {
    case .wrongValue:
      try right.enqueue(command)
      try right.enqueue(.scalar(.add, 0.5, reversed: false), [out], [out])
    case .wrongNumber: try right.enqueue(.fill(.infinity), [], [out])
    case .strayWrite:
      try right.enqueue(command)
      let stray = out.with(Layout(shape: [1], strides: [1], offset: out.layout.end))
      try right.enqueue(.fill(1), [], [stray])
    case .failure: throw ApusError(.device, operation: "relu", "the device is gone")
    case .noFloat32: throw ApusError(.dtype, operation: "relu", "no float32 here")
    case .noFloat64: try right.enqueue(command)
    }
  }
}

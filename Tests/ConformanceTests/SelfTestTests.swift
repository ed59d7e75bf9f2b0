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
final class FaultyBackend: ForwardingBackend {
  enum Fault: Sendable { case wrongValue, wrongNumber, strayWrite, failure, noFloat64, noFloat32 }

  let target: any Backend = ReferenceBackend()
  private let fault: Fault

  init(_ fault: Fault) { self.fault = fault }

  func enqueue(_ command: Command) throws {
    let operands = command.inputs + command.outputs
    if fault == .noFloat64, operands.contains(where: { $0.dtype == .float64 }) {
      throw ApusError(.dtype, operation: "copy", "no float64 here")
    }
    guard case .unary(.relu) = command.operation, let out = command.outputs.first, out.count > 0
    else { return try target.enqueue(command) }
    switch fault {
    case .wrongValue:
      try target.enqueue(command)
      try target.enqueue(.scalar(.add, 0.5, reversed: false), [out], [out])
    case .wrongNumber: try target.enqueue(.fill(.infinity), [], [out])
    case .strayWrite:
      try target.enqueue(command)
      let stray = out.with(Layout(shape: [1], strides: [1], offset: out.layout.end))
      try target.enqueue(.fill(1), [], [stray])
    case .failure: throw ApusError(.device, operation: "relu", "the device is gone")
    case .noFloat32: throw ApusError(.dtype, operation: "relu", "no float32 here")
    case .noFloat64: try target.enqueue(command)
    }
  }
}

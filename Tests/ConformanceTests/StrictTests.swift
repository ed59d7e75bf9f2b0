import ApusCPU
import ApusConformance
import ApusDevice
import ApusOpenCL
import ApusReference
import Testing

/// No operation leaves its device, and one that would is found.
@Suite(.serialized) struct StrictTests {
  /// Opened anew: waits of other tests would count here.
  private static func open(_ name: String) throws -> any Backend {
    switch name {
    case "reference": return ReferenceBackend()
    case "cpu": return try CPUBackend()
    default:
      let index = name.dropFirst(7).prefix { $0.isNumber }
      return try OpenCLBackend(
        index: Int(index) ?? 0, kind: name.hasSuffix("gpu kernels") ? .gpu : nil)
    }
  }

  @Test(arguments: DeviceUnderTest.all.map(\.name))
  func everyOperationStaysOnItsDevice(name: String) throws {
    let strict = StrictBackend(try Self.open(name))
    var conformance = Conformance(strict)
    for opCase in OpCase.chosen { conformance.check(opCase.reduced(to: 300)) }
    #expect(conformance.problems == [])
    #expect(strict.checkedCount > 0)
  }

  @Test func leavingIsFound() throws {
    let strict = StrictBackend(HostBound())
    let x = try strict.temporary([4])
    try strict.enqueue(.fill(1), [], [x])
    let error = #expect(throws: ApusError.self) { try strict.enqueue(.softmax, [x], [x]) }
    #expect(error?.operation == "softmax" && error?.message.contains("left") == true)
    #expect(strict.checkedCount == 1)
  }
}

/// Reads its operands back to compute a softmax.
private final class HostBound: ForwardingBackend {
  let target: any Backend = ReferenceBackend()
  func enqueue(_ command: Command) throws {
    if case .softmax = command.operation { try target.synchronize() }
    try target.enqueue(command)
  }
}

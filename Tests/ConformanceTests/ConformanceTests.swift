import ApusConformance
import ApusDevice
import Foundation
import Testing

@Suite struct ConformanceTests {
  @Test func everyListedDeviceOpens() {
    #expect(DeviceUnderTest.failures == [])
    #expect(!DeviceUnderTest.all.isEmpty)
  }

  /// In every placement: the reference's results, nothing written elsewhere, the same bits again.
  @Test(arguments: DeviceUnderTest.all, OpCase.chosen)
  func agrees(device: DeviceUnderTest, opCase: OpCase) {
    var conformance = Conformance(device.backend)
    conformance.check(opCase)
    expectNone(conformance.problems)
  }

  /// The same of kernels for tensor cores: whatever has to do with products, within wider limits.
  @Test(arguments: DeviceUnderTest.rounding, OpCase.chosen.filter(\.hasProducts))
  func agreesBelowFloat32(device: DeviceUnderTest, opCase: OpCase) throws {
    try device.backend.setMatrixPrecision(device.precision)
    var conformance = Conformance(device.backend)
    conformance.check(opCase)
    if opCase.isFused { conformance.checkComposition(opCase) }
    expectNone(conformance.problems)
    // Limits that nothing comes near would find nothing.
    let widened = Tolerance.exact.fitting(device.precision, where: true).limit
    #expect(conformance.worst > widened / 100 || opCase.trials.isEmpty)
  }

  @Test(arguments: DeviceUnderTest.all, OpCase.chosen.filter(\.isFused))
  func fusedIsComposed(device: DeviceUnderTest, opCase: OpCase) {
    var conformance = Conformance(device.backend)
    conformance.checkComposition(opCase)
    expectNone(conformance.problems)
  }

  /// An output that is its own input gives the bits of an output apart.
  @Test(arguments: DeviceUnderTest.all, optimizerCases)
  func optimizerUpdatesInPlace(device: DeviceUnderTest, opCase: OpCase) throws {
    let backend = device.backend
    for trial in opCase.trials {
      guard case .optimizerStep(let step) = trial.operation else { continue }
      let tensors = hostInputs(trial, .dense)
      let apart = try place(tensors, .dense, on: backend).map(\.operand)
      let outputs = try emptyOutputs(trial, .dense, on: backend)
      try backend.enqueue(trial.operation, apart, outputs.map(\.operand))
      let own = try place(tensors, .dense, on: backend)
      let width = 2 + step.stateCount
      let updated = own.indices.filter { $0 % width > 0 && $0 < width * (own.count / width) }
        .map { own[$0] }
      try backend.enqueue(trial.operation, own.map(\.operand), updated.map(\.operand))
      for (a, b) in zip(outputs, updated) {
        let (want, got) = (try a.download(from: backend), try b.download(from: backend))
        #expect(got == want, "\(trial.operation), \(a.operand.count) elements")
      }
    }
  }

  /// Running statistics that are their own inputs give the bits of ones apart.
  @Test(arguments: DeviceUnderTest.all, batchNormCases.filter { $0.name == "batchNorm" })
  func statisticsUpdateInPlace(device: DeviceUnderTest, opCase: OpCase) throws {
    let backend = device.backend
    for trial in opCase.trials {
      guard case .batchNorm(let norm) = trial.operation, norm.tracksStatistics else { continue }
      let tensors = hostInputs(trial, .dense)
      let outputs = try emptyOutputs(trial, .dense, on: backend)
      try backend.enqueue(
        trial.operation, try place(tensors, .dense, on: backend).map(\.operand),
        outputs.map(\.operand))
      let own = try place(tensors, .dense, on: backend)
      let running = own[(norm.isAffine ? 3 : 1)...].prefix(2)
      let again = try emptyOutputs(trial, .dense, on: backend).prefix(3) + running
      try backend.enqueue(trial.operation, own.map(\.operand), again.map(\.operand))
      for (a, b) in zip(outputs, again) {
        let (want, got) = (try a.download(from: backend), try b.download(from: backend))
        #expect(got == want, "\(trial.operation), \(trial.inputs[0].shape)")
      }
    }
  }

  /// Work enqueued without any wait, over temporaries that die at once, comes out in order.
  @Test(arguments: DeviceUnderTest.all)
  func chainsRunInOrder(device: DeviceUnderTest) throws {
    let backend = device.backend
    func chain(on backend: any Backend) throws -> [UInt8] {
      let start = Input([513], .uniform(-2, 2))
      var x = try Placed([513], .float32, .dense, HostTensor(start, seed: 3), on: backend).operand
      for step in 0..<60 {
        let y = try backend.temporary([513])
        try backend.enqueue(.scalar(.add, Double(step) / 8, reversed: false), [x], [y])
        let z = try backend.temporary([513])
        try backend.enqueue(.binary(step % 2 == 0 ? .subtract : .maximum), [y, x], [z])
        x = z
      }
      var bytes = [UInt8](repeating: 0, count: 513 * 4)
      try bytes.withUnsafeMutableBytes { try backend.download(x.storage, byteOffset: 0, into: $0) }
      return bytes
    }
    #expect(try chain(on: backend) == chain(on: oracle))
  }

  @Test(arguments: DeviceUnderTest.all)
  func steadyStateAllocatesNothingAndNeverWaits(device: DeviceUnderTest) throws {
    // A device of its own would be needed if other tests used the counters at the same time;
    // allocations of theirs may show, so the quietest of several readings counts.
    let backend = device.backend
    let x = try backend.temporary([64, 64])
    try backend.enqueue(.fill(0.5), [], [x])
    func step() throws {
      let y = try backend.temporary([64, 64])
      try backend.enqueue(.unary(.relu), [x], [y])
      let z = try backend.temporary([64, 64])
      try backend.enqueue(.softmax, [y], [z])
    }
    try step()
    var isQuiet = false
    for _ in 0..<50 where !isQuiet {
      let before = backend.counters
      for _ in 0..<20 { try step() }
      let after = backend.counters
      isQuiet =
        after.allocations == before.allocations
        && after.synchronizations == before.synchronizations
    }
    #expect(isQuiet)
    try backend.synchronize()
  }

  @Test(arguments: DeviceUnderTest.all)
  func threadsShareADevice(device: DeviceUnderTest) async throws {
    let backend = device.backend
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for thread in 0..<4 {
        group.addTask {
          var isRight = true
          for round in 0..<20 {
            let value = Double(thread * 100 + round)
            let x = try backend.temporary([300 + thread])
            try backend.enqueue(.fill(value), [], [x])
            let y = try backend.temporary(x.shape)
            try backend.enqueue(.binary(.add), [x, x], [y])
            var result = [Float](repeating: 0, count: x.count)
            try result.withUnsafeMutableBytes {
              try backend.download(y.storage, byteOffset: 0, into: $0)
            }
            isRight = isRight && result.allSatisfy { $0 == Float(2 * value) }
          }
          return isRight
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
  }

  @Test(arguments: DeviceUnderTest.all)
  func strangersAndAbsurdSizesAreRefused(device: DeviceUnderTest) throws {
    let backend = device.backend
    #expect(throws: ApusError.self) { _ = try backend.allocate(byteCount: 1 << 60) }
    let stranger = try ReferenceStranger.make()
    let own = try backend.temporary([4])
    #expect(throws: ApusError.self) { try backend.enqueue(.copy, [stranger], [own]) }
    #expect(throws: ApusError.self) { try backend.enqueue(.softmax, [stranger], [own]) }
    try backend.enqueue(.fill(1), [], [own])
    try backend.synchronize()
  }

  private func expectNone(_ problems: [String]) {
    #expect(problems.isEmpty, "\(problems.prefix(12).joined(separator: "\n")) (\(problems.count))")
  }
}

/// An operand of no device at all.
private enum ReferenceStranger {
  static func make() throws -> Operand {
    Operand(storage: Storage(byteCount: 16), dtype: .float32, layout: Layout(contiguous: [4]))
  }
}

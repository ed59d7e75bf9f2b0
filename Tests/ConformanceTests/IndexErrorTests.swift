import ApusConformance
import ApusDevice
import Testing

/// Indices outside their axis are an error at once or at the next wait; nothing is read or written
/// through them, and the device goes on working.
// Serialized on devices of their own: a fault reaches whoever waits next.
@Suite(.serialized) struct IndexErrorTests {
  struct BadIndex: Sendable, CustomTestStringConvertible {
    let name: String
    let operation: Operation
    let inputs: [Input]
    let outputs: [Output]
    var testDescription: String { name }
  }

  static let badIndices: [BadIndex] =
    [-1, 5, Double(Int32.min), Double(Int32.max)].flatMap { bad in
      let indices = Input([3], .int32, .list([1, bad, 4]))
      let table = Input([5, 7], .uniform(-1, 1))
      let grid = Input([3, 7], .int32, .list([0, 1, 2, 3, bad, 4, 0]))
      let wide = Input([3, 7], .uniform(-1, 1))
      let shape = Output([5, 7])
      return [
        BadIndex(
          name: "take \(bad)", operation: .take(axis: 0), inputs: [table, indices],
          outputs: [Output([3, 7])]),
        BadIndex(
          name: "indexAdd \(bad)", operation: .indexAdd(axis: 0), inputs: [table, indices, wide],
          outputs: [shape]),
        BadIndex(
          name: "gather \(bad)", operation: .gather(axis: 0), inputs: [table, grid],
          outputs: [Output([3, 7])]),
        BadIndex(
          name: "scatterAdd \(bad)", operation: .scatterAdd(axis: 0), inputs: [table, grid, wide],
          outputs: [shape]),
        BadIndex(
          name: "crossEntropy \(bad)",
          operation: .crossEntropy(labelSmoothing: 0.1, ignoreIndex: -100),
          inputs: [Input([3, 5], .uniform(-1, 1)), indices],
          outputs: [Output([3]), Output([3]), Output([3, 5])]),
      ]
    } + [
      BadIndex(
        name: "take from nothing", operation: .take(axis: 0),
        inputs: [Input([0, 4], .uniform(0, 1)), Input([2], .int32, .list([0]))],
        outputs: [Output([2, 4])])
    ]

  @Test(arguments: DeviceUnderTest.isolated, badIndices)
  func surfaces(device: DeviceUnderTest, bad: BadIndex) throws {
    let backend = device.backend
    let inputs = try bad.inputs.enumerated().map { i, input in
      try Placed(
        input.shape, input.dtype, .offset, HostTensor(input, seed: i), on: backend)
    }
    let outputs = try bad.outputs.map {
      try Placed($0.shape, $0.dtype, .offset, nil, on: backend)
    }
    var caught: ApusError?
    do {
      try backend.enqueue(bad.operation, inputs.map(\.operand), outputs.map(\.operand))
      try backend.synchronize()
    } catch let error as ApusError { caught = error }
    #expect(caught?.kind == .value, "\(String(describing: caught))")

    for output in outputs {
      let bytes = try output.download(from: backend)
      #expect(!output.isGuardBroken(in: bytes))
    }
    for input in inputs { #expect(try input.download(from: backend) == input.bytes) }
    let check = try backend.temporary([9])
    try backend.enqueue(.fill(3), [], [check])
    var values = [Float](repeating: 0, count: 9)
    try values.withUnsafeMutableBytes {
      try backend.download(check.storage, byteOffset: 0, into: $0)
    }
    #expect(values == [Float](repeating: 3, count: 9))
  }
}

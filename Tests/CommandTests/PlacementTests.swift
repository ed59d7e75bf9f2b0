import Apus
import Foundation
import TestSupport
import Testing

@Suite struct PlacementTests {
  private func placement(_ times: [(Int, Double, Double)]) -> Placement {
    Placement(
      device: "opencl:0", product: "a card",
      figures: times.map { Placement.Figure(n: $0.0, processor: $0.1, other: $0.2) })
  }

  /// The device must be ahead at the largest size, and the crossover is where it stays ahead.
  @Test func crossover() throws {
    let faster = placement([(1024, 10, 1), (64, 1, 3), (256, 4, 2)])
    #expect(faster.crossover == 256 && faster.choice == "opencl:0")
    #expect(faster.reason.contains("10 times") && faster.reason.contains("256 x 256"))
    let slower = placement([(64, 3, 1), (256, 3, 2), (1024, 3, 6)])
    #expect(slower.crossover == nil && slower.choice == "cpu")
    #expect(slower.reason.contains("0.5 times") && slower.reason.contains("the processor computes"))
    #expect(placement([(64, 2, 1), (256, 1, 2), (1024, 2, 1)]).crossover == 1024)
    #expect(placement([]).choice == "cpu")
    let data = try JSONEncoder().encode(faster)
    #expect(try JSONDecoder().decode(Placement.self, from: data) == faster)
  }

  /// A model goes from device to device with one call, and computes the same there.
  @Test func modelsMove() throws {
    let devices = TestDevices.all
    let start = try #require(devices.first)
    let model = Sequential([
      try Linear(6, 5, key: RandomKey(1), on: start), ReLU(),
      try Linear(5, 3, key: RandomKey(2), on: start),
    ])
    func output(_ device: Device) throws -> [Float] {
      let x = try Tensor((0..<12).map { Float($0) / 12 }, shape: [2, 6], on: device)
      return try model(x, .evaluation).scalars()
    }
    let expected = try output(start)
    for device in devices.dropFirst() + [start] {
      try model.move(to: device)
      #expect(model.parameters().allSatisfy { $0.device == device })
      let moved = try output(device)
      #expect(zip(moved, expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  /// A device without room for the whole model leaves it where it was.
  @Test func moveIsAllOrNothing() throws {
    let (home, small) = (try Devices.named("reference"), try Devices.named("cpu"))
    small.limitMemory(to: 64 << 10)
    let model = Sequential([
      try Linear(10, 10, key: RandomKey(1), on: home),
      try Linear(400, 100, key: RandomKey(2), on: home),
    ])
    #expect(throws: ApusError.self) { try model.move(to: small) }
    #expect(model.parameters().allSatisfy { $0.device == home })
  }
}

import ApusData
import ApusDevice
import Testing

@Suite struct DatasetTests {
  private func sample() throws -> Dataset {
    try Dataset(
      name: "sample", features: (0..<20).map { Float($0) }, featureShape: [2],
      labels: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1], classNames: ["a", "b"])
  }

  @Test func subsetsAndBatches() throws {
    let data = try sample()
    #expect(data.count == 10)
    let batch = try data.batch([9, 0, 9])
    #expect(batch.features == [18, 19, 0, 1, 18, 19])
    #expect(batch.labels == [1, 0, 1])
    #expect(try data.subset([3]).features == [6, 7])
    #expect(try data.example(1).label == 0)
    expectError("example 10", "10 examples") { try data.batch([10]) }
    expectError("example -1") { try data.subset([-1]) }
  }

  @Test func splitsByClass() throws {
    let data = try sample()
    let (rest, part) = try data.split(fraction: 0.5, key: RandomKey(1))
    #expect(part.labels == [0, 0, 0, 1, 1])
    #expect(try Set(rest.features).isDisjoint(with: part.features))
    #expect(rest.count + part.count == 10)
    #expect(try data.split(fraction: 0.5, key: RandomKey(1)).part.features == part.features)
    #expect(try data.split(fraction: 0.5, key: RandomKey(2)).part.features != part.features)
    expectError("between 0 and 1") { try data.split(fraction: 1, key: RandomKey(1)) }
    expectError("between 0 and 1") { try data.split(fraction: .nan, key: RandomKey(1)) }
    expectError("empty") { try data.split(fraction: 0.01, key: RandomKey(1)) }
  }

  @Test func refusesInconsistency() throws {
    expectError("3 values", "[2]") {
      try Dataset(name: "x", features: [1, 2, 3], featureShape: [2])
    }
    expectError("label 2", "example 1") {
      try Dataset(
        name: "x", features: [1, 2], featureShape: [1], labels: [0, 2], classNames: ["a", "b"])
    }
    expectError("positive") { try Dataset(name: "x", features: [], featureShape: [0]) }
    var data = try sample()
    data.labels.removeLast()
    expectError("10 examples but 9 labels") { try data.batch([0]) }
  }

  @Test func permutes() {
    let order = Shuffle.permutation(count: 1000, key: RandomKey(7))
    #expect(order.sorted() == Array(0..<1000))
    #expect(order != Array(0..<1000))
    #expect(Shuffle.permutation(count: 6, key: RandomKey(0)) == [1, 0, 5, 4, 3, 2])
    #expect(Shuffle.permutation(count: 0, key: RandomKey(0)).isEmpty)
  }
}

import Apus
import ApusTraining
import TestSupport
import Testing

struct BatchSourceTests {
  private func data() throws -> Dataset {
    try Dataset(
      name: "counting", features: (0..<7 * 6).map(Float.init), featureShape: [2, 3],
      labels: (0..<7).map { Int32($0 % 3) }, classNames: ["a", "b", "c"])
  }

  @Test(arguments: TestDevices.all)
  func streamedBatchesAreResidentBatches(device: Device) throws {
    let data = try data()
    let resident = try BatchSource(data, on: device)
    let streamed = try BatchSource(data, on: device, residentLimit: 0)
    let order = Shuffle.permutation(count: data.count, key: RandomKey(3))
    let (here, there) = (try resident.order(order), try streamed.order(order))
    #expect(here.onDevice != nil && there.onDevice == nil)
    for range in [0..<3, 3..<6, 6..<7, 0..<7] {
      let (x, y) = try resident.batch(range, of: here)
      let (u, v) = try streamed.batch(range, of: there)
      #expect(x.shape == [range.count, 2, 3] && u.shape == x.shape)
      #expect(try x.scalars() == u.scalars())
      #expect(try y.scalars(as: Int32.self) == v.scalars(as: Int32.self))
      let expected = try data.batch(Array(order[range]))
      #expect(try x.scalars() == expected.features)
      #expect(try y.scalars(as: Int32.self) == expected.labels)
      // In the order of the data.
      let plain = try data.batch(Array(range))
      for source in [resident, streamed] {
        let (x, y) = try source.batch(range)
        #expect(try x.scalars() == plain.features)
        #expect(try y.scalars(as: Int32.self) == plain.labels)
      }
    }
  }

  @Test func labelsAreNeeded() throws {
    let bare = try Dataset(name: "bare", features: [1, 2], featureShape: [1])
    let error = #expect(throws: ApusError.self) {
      try BatchSource(bare, on: TestDevices.reference)
    }
    #expect(error?.operation == "bare")
  }
}

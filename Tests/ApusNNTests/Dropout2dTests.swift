import Apus
import TestSupport
import Testing

struct Dropout2dTests {
  /// Every channel is whole or gone, as many go as should, and kept ones make up for them.
  @Test(arguments: TestDevices.all)
  func dropsWholeChannels(device: Device) throws {
    let layer = try Dropout2d(0.3)
    let x = try Tensor.full([40, 25, 3, 2], 7, on: device)
    let y = try layer(x, Context(isTraining: true, key: RandomKey(4))).scalars()
    var dropped = 0
    for channel in 0..<1000 {
      let values = Set(y[channel * 6..<channel * 6 + 6])
      #expect(values.count == 1)
      if values == [0] {
        dropped += 1
      } else {
        #expect(values.allSatisfy { abs($0 - 10) < 1e-5 })
      }
    }
    // Binomial: 300 with a standard deviation of 14.5.
    #expect((240...360).contains(dropped))
    #expect(try layer(x, .evaluation).scalars() == x.scalars())
    let all = try Dropout2d(1)(x, Context(isTraining: true, key: RandomKey(4)))
    #expect(try all.scalars().allSatisfy { $0 == 0 })
  }

  @Test func devicesDropTheSame() throws {
    func result(_ device: Device) throws -> [Float] {
      try Tensor.ones([3, 5, 2, 2], on: device).dropout2d(probability: 0.5, key: RandomKey(9))
        .scalars()
    }
    let expected = try result(TestDevices.reference)
    for device in TestDevices.fast { #expect(try result(device) == expected) }
  }

  /// The gradient passes where the value passed, with the same factor.
  @Test(arguments: TestDevices.all)
  func gradientFollowsTheMask(device: Device) throws {
    let x = try Tensor.normal([2, 6, 2, 3], key: RandomKey(1), on: device)
    let key = RandomKey(2)
    let (_, gradients) = try valueAndGradients(at: [x]) {
      try $0[0].dropout2d(probability: 0.4, key: key).sum()
    }
    let mask = try Tensor.ones(like: x).dropout2d(probability: 0.4, key: key)
    #expect(try gradients[0].scalars() == mask.scalars())
    #expect(try Set(mask.scalars()).count == 2)
  }

  @Test func checksItsInput() throws {
    for probability in [-0.1, 1.1, Float.nan] {
      #expect(throws: ApusError.self) { try Dropout2d(probability) }
    }
    let flat = try Tensor.ones([2, 3], on: TestDevices.reference)
    let error = #expect(throws: ApusError.self) {
      try flat.dropout2d(probability: 0.5, key: RandomKey(1))
    }
    #expect(error?.message.contains("[2, 3]") == true)
  }

  @Test func describedByName() throws {
    let layer = LayerDescription(
      name: "drop", type: "Dropout2d", attributes: ["probability": 0.25])
    let good = ModelDescription(inputShape: [3, 4, 4], layers: [layer])
    let model = try GraphModel(good, key: RandomKey(1), on: TestDevices.reference)
    #expect(model.outputShapes == [[3, 4, 4]])
    let bad = ModelDescription(inputShape: [12], layers: [layer])
    #expect(throws: ApusError.self) {
      try GraphModel(bad, key: RandomKey(1), on: TestDevices.reference)
    }
  }
}

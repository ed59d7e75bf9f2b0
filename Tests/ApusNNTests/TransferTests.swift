import Apus
import TestSupport
import Testing

struct TransferTests {
  private struct Net: Layer {
    let body: Linear
    let head: Linear

    init(classes: Int, key: UInt64, on device: Device) throws {
      let keys = RandomKey(key).split(2)
      body = try Linear(3, 4, key: keys[0], on: device)
      head = try Linear(4, classes, key: keys[1], on: device)
    }

    func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
      try head(body(x, context), context)
    }
  }

  @Test func takesWhatFits() throws {
    for device in TestDevices.all {
      let old = try Net(classes: 5, key: 1, on: TestDevices.reference)
      let new = try Net(classes: 2, key: 2, on: device)
      let head = try new.head.weight.value.scalars()
      var state = old.state()
      state["head.bias"] = nil
      state["extra"] = try Tensor.ones([1], on: device)
      let load = try new.loadMatching(state)
      #expect(load.loaded == ["body.bias", "body.weight"])
      #expect(load.missing == ["head.bias"] && load.unused == ["extra"])
      #expect(load.misshapen.count == 1)
      #expect(load.misshapen[0].contains("head.weight") && load.misshapen[0].contains("[5, 4]"))
      #expect(try new.body.weight.value.scalars() == old.body.weight.value.scalars())
      #expect(new.body.weight.device == device)
      #expect(try new.head.weight.value.scalars() == head)
    }
  }

  /// Thawing a model leaves running statistics to the batches.
  @Test func statisticsStayFrozen() throws {
    let norm = try BatchNorm(3, on: TestDevices.reference)
    norm.setTrainable(false)
    norm.setTrainable(true)
    #expect(norm.weight?.isTrainable == true && norm.runningMean?.isTrainable == false)
    #expect(norm.runningVariance?.isStatistic == true && norm.parameterCount == 6)
  }

  @Test func freezesByPrefix() throws {
    let net = try Net(classes: 2, key: 1, on: TestDevices.reference)
    try net.freeze(prefix: "body.")
    #expect(net.parameters().map(\.isTrainable) == [false, false, true, true])
    let error = #expect(throws: ApusError.self) { try net.freeze(prefix: "tail") }
    #expect(error?.message.contains("'tail'") == true)
    #expect(error?.message.contains("head.weight") == true)
  }
}

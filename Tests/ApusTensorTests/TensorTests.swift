import Apus
import TestSupport
import Testing

struct TensorTests {
  @Test(arguments: TestDevices.all)
  func readsBackWhatWasWritten(on device: Device) throws {
    #expect(try Tensor([Float(1), 2, 3], on: device).scalars() == [1, 2, 3])
    #expect(try Tensor([Int32(1), -2], on: device).scalars(as: Int32.self) == [1, -2])
    #expect(try Tensor([true, false], on: device).scalars(as: Bool.self) == [true, false])
    #expect(try Tensor([UInt8(7)], on: device).item() == 7)
    #expect(try Tensor(Float(4), on: device).shape == [])
    let rows = try Tensor(rows: [[Float(1), 2], [3, 4]], on: device)
    #expect(try rows.transposed().scalars() == [1, 3, 2, 4])
    #expect(try Tensor([Float](), on: device).scalars().isEmpty)
    #expect(try Tensor.eye(2, on: device).scalars() == [1, 0, 0, 1])
    #expect(try Tensor.arange(1, 2, step: 0.25, on: device).scalars() == [1, 1.25, 1.5, 1.75])
    #expect(
      try Tensor.arange(0, 3, dtype: .int32, on: device).scalars(as: Int32.self) == [0, 1, 2])
    #expect(try Tensor.linspace(0, 1, count: 3, on: device).scalars() == [0, 0.5, 1])
    let halves = try Tensor.full([2], 1.5, dtype: .float16, on: device)
    #expect(try halves.to(.float32).scalars() == [1.5, 1.5])
  }

  @Test(arguments: TestDevices.all)
  func viewsAndIndices(on device: Device) throws {
    let x = try Tensor.arange(0, 24, on: device).reshaped(2, 3, 4)
    #expect(try x[1, 2, 3].item() == 23)
    #expect(try x[-1, 0..., 1...2].scalars() == [13, 14, 17, 18, 21, 22])
    #expect(try x[0, ..<2, -1].scalars() == [3, 7])
    #expect(try x.slice(axis: 2, start: 1, step: 2).shape == [2, 3, 2])
    #expect(try x.slice(axis: 1, start: 5, end: 9).shape == [2, 0, 4])
    #expect(try x.permuted().shape == [4, 3, 2])
    #expect(try x.permuted([1, 0, 2]).reshaped(6, 4)[1].scalars() == [12, 13, 14, 15])
    let order = try Tensor([Int32(1), 0], on: device)
    #expect(try x.take(order, axis: 1)[0, 0].scalars() == [4, 5, 6, 7])
    #expect(try x.argMax().item() == 23)
    #expect(try x.argMin(axis: 1).shape == [2, 4])
    #expect(try x.sum(axes: [0, 1]).scalars() == [60, 66, 72, 78])
    #expect(try x.flattened(start: 1).shape == [2, 12])
    #expect(try (x .> 20).sum().item() == 3)
    #expect(try (x .< 0).any().item() == 0)
    #expect(try x.isFinite().all().item() == 1)
  }

  @Test(arguments: TestDevices.all)
  func typesAreJoinedAsInPyTorch(on device: Device) throws {
    let integers = try Tensor([Int32(3), -7], on: device)
    let floats = try Tensor([Float(0.5), 2], on: device)
    let flags = try Tensor([true, false], on: device)
    #expect(try (integers + floats).dtype == .float32)
    #expect(try (integers / integers).dtype == .float32)
    #expect(try (integers * integers).scalars(as: Int32.self) == [9, 49])
    #expect(try (integers + 1).dtype == .int32)
    #expect(try (integers + 0.5).scalars() == [3.5, -6.5])
    #expect(try (flags + flags).scalars(as: Int32.self) == [2, 0])
    #expect(try flags.sum().scalars(as: Int32.self) == [1])
    #expect(try integers.mean().item() == -2)
    #expect(try integers.sqrt().dtype == .float32)
    #expect(throws: ApusError.self) { try floats.to(.bfloat16) + floats }
  }

  @Test func mistakesAreNamed() throws {
    let device = TestDevices.reference
    let a = try Tensor.ones([2, 3], on: device)
    let b = try Tensor.ones([4], on: device)
    func expect(_ parts: String..., from body: () throws -> Tensor) {
      var text = "no error"
      do { _ = try body() } catch { text = "\(error)" }
      for part in parts { #expect(text.contains(part), "\(text)") }
    }
    expect("add", "[2, 3]", "[4]", "equal or 1") { try a + b }
    expect("matmul") { try a.matmul(b) }
    expect("6 elements") { try a.reshaped(4, 2) }
    expect("-1") { try a.reshaped(-1, 4) }
    expect("axis 2") { try a.sum(axis: 2) }
    expect("exactly once") { try a.permuted([0, 0]) }
    expect("index 5") { try a[5] }
    expect("[2, 3]") { try a[0, 0, 0] }
    expect("[2]") { try Tensor([Float(1)], shape: [2], on: device) }
    expect("negative") { try Tensor.zeros([-1], on: device) }
    expect("addressed") { try Tensor.zeros([1 << 40, 1 << 40], on: device) }
    expect("9 axes") { try Tensor.zeros([1, 1, 1, 1, 1, 1, 1, 1, 1], on: device) }
    expect("extent 2") { try a.squeezed(axis: 0) }
    expect("[4]") { try Tensor.concatenated([a, b]) }
    expect("nothing") { try Tensor.concatenated([]) }
    expect("int32") { try a.take(b) }
    expect("empty") { try Tensor.zeros([0], on: device).max() }
    expect("k is 4") { try a.topK(4).values }
    expect("0...1") { try a.dropout(probability: 2, key: RandomKey(1)) }
    #expect(throws: ApusError.self) { try a.item() }
    #expect(throws: ApusError.self) { try a.scalars(as: Int32.self) }
    if let other = TestDevices.fast.first {
      expect("to(device)") { try a + Tensor.ones([2, 3], on: other) }
    }
  }

  @Test(arguments: TestDevices.all)
  func indicesOutOfRangeAreErrors(on shared: Device) throws {
    // A fault surfaces at the next wait, so the device must not be one that other tests wait for.
    let device = try Devices.named(shared.name)
    let x = try Tensor.ones([3, 2], on: device)
    for bad in [Int32(3), -1, .max, .min] {
      #expect(throws: ApusError.self) { try x.take(try Tensor([bad], on: device)).scalars() }
      // The device goes on.
      #expect(try x.sum().item() == 6)
    }
  }

  @Test(arguments: TestDevices.all)
  func randomNumbersDependOnKeysAlone(on device: Device) throws {
    let reference = TestDevices.reference
    let key = RandomKey(5)
    for shape in [[7], [100, 3], [0], []] {
      #expect(
        try Tensor.uniform(shape, key: key, on: device).scalars()
          == Tensor.uniform(shape, key: key, on: reference).scalars())
      #expect(
        try Tensor.bernoulli(shape, probability: 0.3, key: key, on: device).scalars()
          == Tensor.bernoulli(shape, probability: 0.3, key: key, on: reference).scalars())
      #expect(
        try distance(
          Tensor.normal(shape, key: key, on: device),
          Tensor.normal(shape, key: key, on: reference)) < 1e-5)
    }
  }

  @Test func prints() throws {
    let device = TestDevices.reference
    let table = try Tensor(rows: [[Float(1), 2.5], [-3, 4]], on: device)
    #expect(
      table.description
        == "[[ 1.0000,  2.5000],\n [-3.0000,  4.0000]]\nTensor(float32[2, 2] on reference)")
    #expect(try Tensor([Int32(1), 20], on: device).description.hasPrefix("[ 1, 20]"))
    #expect(try Tensor(Float(2), on: device).description.hasPrefix("2.\n"))
    #expect(try Tensor([true, false], on: device).description.hasPrefix("[ true, false]"))
    #expect(try Tensor([Float.nan, .infinity], on: device).description.contains("nan"))
    #expect(try Tensor([Float(1e-20), 1e20], on: device).description.contains("1.0000e+20"))
    let long = try Tensor.arange(0, 2000, on: device).description
    #expect(long.contains("...") && long.count < 200)
    let empty = try Tensor.zeros([0, 2], on: device)
    #expect(empty.description == "Tensor(float32[0, 2] on reference)")
  }

  @Test func devicesExchangeTensors() throws {
    for a in TestDevices.all {
      for b in TestDevices.all {
        let x = try Tensor.arange(0, 6, on: a).reshaped(2, 3).transposed()
        #expect(try x.to(b).scalars() == [0, 3, 1, 4, 2, 5])
        #expect(try x.to(b).device === b)
      }
    }
  }
}

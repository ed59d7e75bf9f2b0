import Apus
import TestSupport
import Testing

struct ImageTests {
  /// `[N, C, H, W]` with channels last.
  private func channelsLast(_ shape: [Int], on device: Device) throws -> Tensor {
    try Tensor.uniform(
      [shape[0], shape[2], shape[3], shape[1]], low: -1, high: 1, key: RandomKey(3), on: device
    ).permuted([0, 3, 1, 2])
  }

  /// Element-wise operations keep a memory order that their operands share, with the same values.
  @Test(arguments: TestDevices.all)
  func elementwiseKeepsTheMemoryOrder(on device: Device) throws {
    let x = try channelsLast([2, 3, 4, 5], on: device)
    let plain = try x.contiguous()
    let bias = try Tensor([Float(1), 2, 3], on: device).reshaped(3, 1, 1)
    #expect(!x.isContiguous && plain.isContiguous)
    let bodies: [(Tensor) throws -> Tensor] = [
      { try $0.relu() }, { try $0.gelu() }, { try $0 + $0 }, { try $0 * bias }, { try bias - $0 },
      { try $0 * 2 }, { try $0 .> 0 }, { try Tensor.multiplyAdd($0, bias, $0) },
      { try Tensor.select(where: $0 .< 0, $0, bias) }, { try $0.to(.int32) },
      { x in try gradient(at: x) { try ($0.tanh() * $0.silu() + $0).sum() } },
    ]
    for (index, body) in bodies.enumerated() {
      let (y, expected) = (try body(x), try body(plain))
      #expect(y.strides == x.strides, "body \(index)")
      #expect(y.shape == x.shape && expected.isContiguous)
      #expect(try distance(y.to(.float32), expected.to(.float32)) == 0, "body \(index)")
    }
    // Some channels of more, and channels joined, keep it too.
    let parts = [try x.slice(axis: 1, end: 2), try x.slice(axis: 1, start: 2)]
    #expect(try parts[0].relu().strides[1] == 1 && !parts[0].isContiguous)
    #expect(try distance(parts[0].relu(), plain.slice(axis: 1, end: 2).relu()) == 0)
    #expect(try Tensor.concatenated(parts, axis: 1).strides == x.strides)
    #expect(try distance(Tensor.concatenated(parts, axis: 1), plain) == 0)
    // Another order than the other operand's: row-major.
    #expect(try (x + plain).isContiguous)
    #expect(try distance(x + plain, plain * 2) == 0)
    // Draws follow the logical index, not the memory.
    let key = RandomKey(5)
    #expect(
      try x.dropout(probability: 0.5, key: key).scalars()
        == plain.dropout(probability: 0.5, key: key).scalars())
    #expect(try x.flattened(start: 1).scalars() == plain.flattened(start: 1).scalars())
  }

  @Test(arguments: TestDevices.all)
  func runningStatisticsFollowTheBatches(on device: Device) throws {
    let mean = Parameter(try Tensor.zeros([2], on: device))
    let variance = Parameter(try Tensor.ones([2], on: device))
    let before = mean.value
    let x = try Tensor([Float(1), 10, 3, 20], shape: [2, 2], on: device)
    let y = try x.batchNorm(
      runningMean: mean, runningVariance: variance, isTraining: true, momentum: 0.5, epsilon: 0)
    #expect(try distance(y, try Tensor([Float(-1), -1, 1, 1], shape: [2, 2], on: device)) < 1e-6)
    #expect(try distance(mean.value, try Tensor([Float(1), 7.5], on: device)) < 1e-6)
    #expect(try distance(variance.value, try Tensor([Float(1.5), 25.5], on: device)) < 1e-6)
    // Tensors taken earlier keep their contents.
    #expect(try before.scalars() == [0, 0])
    let z = try x.batchNorm(
      runningMean: mean, runningVariance: variance, isTraining: false, epsilon: 0)
    #expect(try distance(mean.value, try Tensor([Float(1), 7.5], on: device)) < 1e-6)
    #expect(abs(try z[1, 0].item() - 2 / 1.5.squareRoot()) < 1e-5)
  }

  @Test(arguments: TestDevices.all)
  func theFirstLargestElementIsChosen(on device: Device) throws {
    let nan = Float.nan
    let x = try Tensor(
      [1, 3, 3, 1, nan, 0, nan, 2, -.infinity, -.infinity, 0, 0], shape: [1, 1, 3, 4], on: device)
    let (values, indices) = try x.maxPool2dWithIndices(kernelSize: (1, 2), stride: (1, 1))
    #expect(try indices.scalars(as: Int32.self) == [1, 1, 2, 4, 6, 6, 8, 10, 10])
    #expect(try values[0, 0, 0].scalars() == [3, 3, 3])
    #expect(try values[0, 0, 1].isNaN().all().item() == 1)
    // Padding is never chosen, not even among infinities.
    let low = try Tensor.full([1, 1, 2, 2], -.infinity, on: device)
    let padded = try low.maxPool2dWithIndices(kernelSize: (2, 2), stride: (1, 1), padding: (1, 1))
    #expect(try padded.indices.scalars(as: Int32.self) == [0, 0, 1, 0, 0, 1, 2, 2, 3])
  }

  @Test func mistakesAreNamed() throws {
    let device = TestDevices.reference
    let x = try Tensor.ones([2, 4, 5, 6], on: device)
    let w = try Tensor.ones([6, 4, 3, 3], on: device)
    func expect(_ parts: String..., from body: () throws -> Tensor) {
      var text = "no error"
      do { _ = try body() } catch { text = "\(error)" }
      for part in parts { #expect(text.contains(part), "\(text)") }
    }
    let huge = Int.max
    expect("conv2d", "[N, C, H, W]") { try x.flattened().conv2d(weight: w) }
    expect("[6, 4, 3, 3]", "2 groups") { try x.conv2d(weight: w, groups: 2) }
    expect("groups") { try x.conv2d(weight: w, groups: huge) }
    expect("groups") { try x.conv2d(weight: w, groups: 0) }
    expect("bias [4]", "[6]") { try x.conv2d(weight: w, bias: try .ones([4], on: device)) }
    expect("stride", "\(huge)") { try x.conv2d(weight: w, stride: (huge, 1)) }
    expect("dilation") { try x.conv2d(weight: w, dilation: (0, 1)) }
    expect("padding") { try x.conv2d(weight: w, padding: .zeros(height: -1, width: 0)) }
    expect("padding") { try x.conv2d(weight: w, padding: .zeros(height: huge, width: huge)) }
    expect("more elements") {
      try x.conv2d(
        weight: w, stride: (1 << 30, 1 << 30), padding: .zeros(height: 1 << 30, width: 1 << 30))
    }
    expect("spans 3 of the height", "[2, 4, 2, 6]", "has 2 and 0 of padding") {
      try x.slice(axis: 2, end: 2).conv2d(weight: w)
    }
    expect("spans 8 of the height", "has 5 and 2 of padding") {
      try x.maxPool2d(kernelSize: (8, 1), padding: (1, 0))
    }
    expect("spans 4 of the height") {
      try x.slice(axis: 2, end: 1).avgPool2d(kernelSize: (4, 1), stride: (2, 1), ceilMode: true)
    }
    expect("more elements") {
      try x.maxPool2d(
        kernelSize: (2, 2), stride: (1 << 30, 1 << 30), dilation: (1 << 30, 1 << 30), ceilMode: true
      )
    }
    expect("same", "stride 1") { try x.conv2d(weight: w, stride: (2, 2), padding: .same) }
    expect("addend [2, 6, 5, 6]", "[2, 6, 3, 4]") {
      try x.conv2d(weight: w, addend: try .ones([2, 6, 5, 6], on: device))
    }
    expect("float32") { try x.to(.int32).conv2d(weight: w) }
    expect("conv1d", "[N, C, L]") { try x.conv1d(weight: w) }
    let line = try Tensor.ones([1, 1, 4], on: device)
    expect("no height") {
      try line.conv1d(weight: line, padding: .zeros(height: 1, width: 1))
    }
    expect("output padding 2") {
      try x.convTranspose2d(weight: try .ones([4, 1, 2, 2], on: device), outputPadding: (2, 0))
    }
    expect("cuts off") {
      try x.convTranspose2d(weight: try .ones([4, 1, 2, 2], on: device), padding: (4, 4))
    }
    expect("convTranspose2d", "groups") { try x.convTranspose2d(weight: w) }
    expect("half of") { try x.maxPool2d(kernelSize: (2, 2), padding: (2, 0)) }
    expect("half of") { try x.avgPool2d(kernelSize: (3, 3), padding: (2, 0)) }
    expect("padding alone") {
      try x.slice(axis: 3, end: 1).maxPool2d(
        kernelSize: (1, 2), stride: (1, 1), padding: (0, 1), dilation: (1, 2))
    }
    expect("kernel") { try x.maxPool2d(kernelSize: (0, 1)) }
    expect("maxPool2d", "[N, C, H, W]") { try x[0].maxPool2d(kernelSize: (1, 1)) }
    expect("adaptiveAvgPool2d", "1...") { try x.adaptiveAvgPool2d((0, 1)) }
    expect("interpolated", "(\(huge), 1)") { try x.interpolated(size: (huge, 1)) }
    expect("corners") { try x.interpolated(size: (2, 2), alignsCorners: true) }
    expect("one value per channel") {
      try Tensor.ones([1, 4], on: device).batchNorm(isTraining: true)
    }
    expect("evaluation needs both") { try x.batchNorm(isTraining: false) }
    expect("[4]", "[5]") {
      try x.batchNorm(weight: try .ones([5], on: device), isTraining: true)
    }
    expect("groupNorm", "3 groups") { try x.groupNorm(groups: 3) }
    expect("padded", "too few") { try x.padded([(6, 0)], mode: .reflect) }
    expect("padded", "too few") { try x.padded([(7, 0)], mode: .circular) }
    expect("padded") { try x.padded([(-1, 0)], mode: .replicate) }
    expect("padded") { try x.padded([(huge, 0)], mode: .constant(0)) }
  }

  /// Nothing is computed for images that no tape watches.
  @Test func unwatchedImagesGetNoGradient() throws {
    let device = TestDevices.reference
    let x = try Tensor.ones([2, 3, 4, 4], on: device)
    let w = try Tensor.ones([2, 3, 2, 2], on: device)
    func launches(watching images: Bool) throws -> Int {
      let tape = Tape()
      let weight = try tape.watch(w)
      let y = try (images ? tape.watch(x) : x).conv2d(weight: weight)
      let before = device.counters.launches
      _ = try tape.gradients(of: y.sum(), for: [weight])
      return device.counters.launches - before
    }
    // Other tests share the device: the least of several readings counts.
    func least(_ images: Bool) throws -> Int {
      try (0..<20).map { _ in try launches(watching: images) }.min() ?? 0
    }
    #expect(try least(false) < least(true))
  }
}

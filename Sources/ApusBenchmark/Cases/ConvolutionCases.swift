import Apus

/// A convolution to time: images `[batch, channels, side, side]`, square kernels.
private struct Shape {
  let batch, channels, side, filters, kernel, stride, padding, groups: Int
  /// Whether the images lie in memory as the layer before leaves them, not as `NCHW`.
  let isFeatureMap: Bool

  init(
    _ batch: Int, _ channels: Int, _ side: Int, _ filters: Int, kernel: Int, stride: Int = 1,
    padding: Int = 0, groups: Int = 1, isFeatureMap: Bool = false
  ) {
    (self.batch, self.channels, self.side, self.filters) = (batch, channels, side, filters)
    (self.kernel, self.stride, self.padding, self.groups) = (kernel, stride, padding, groups)
    self.isFeatureMap = isFeatureMap
  }

  /// Peers read the sizes from the name.
  var name: String {
    "\(batch)x\(channels)x\(side)-\(filters)-k\(kernel)s\(stride)p\(padding)g\(groups)"
      + (isFeatureMap ? "-featuremap" : "")
  }

  var flops: Double {
    let out = (side + 2 * padding - kernel) / stride + 1
    return 2 * Double(batch * filters * out * out) * Double(channels / groups * kernel * kernel)
  }

  /// Of images, weights and results, each once.
  var bytes: Double {
    let out = (side + 2 * padding - kernel) / stride + 1
    return 4
      * Double(
        batch * channels * side * side + filters * channels / groups * kernel * kernel
          + batch * filters * out * out)
  }

  func tensors(on device: Device) throws -> [Tensor] {
    var x = try Tensor.normal([batch, channels, side, side], key: RandomKey(1), on: device)
    // Pooling of single pixels changes the memory order alone.
    if isFeatureMap { x = try x.maxPool2d(kernelSize: (1, 1)) }
    return [
      x,
      try Tensor.normal(
        [filters, channels / groups, kernel, kernel], key: RandomKey(2), on: device),
      try Tensor.normal([filters], key: RandomKey(3), on: device),
    ]
  }

  func run(_ x: Tensor, _ weight: Tensor, _ bias: Tensor) throws -> Tensor {
    try x.conv2d(
      weight: weight, bias: bias, stride: (stride, stride),
      padding: .zeros(height: padding, width: padding), groups: groups)
  }
}

extension BenchCase {
  private static let shapes = [
    Shape(16, 64, 56, 64, kernel: 3, padding: 1),
    Shape(16, 256, 14, 256, kernel: 3, padding: 1),
    Shape(16, 64, 56, 256, kernel: 1),
    Shape(8, 3, 224, 64, kernel: 7, stride: 2, padding: 3),
    Shape(8, 128, 56, 128, kernel: 3, padding: 1, groups: 128),
    Shape(8, 128, 56, 128, kernel: 3, padding: 1, groups: 128, isFeatureMap: true),
  ]

  static let convolutionCases: [BenchCase] = shapes.flatMap { [forward($0), gradients($0)] }

  private static func forward(_ shape: Shape) -> BenchCase {
    BenchCase(
      name: "conv-\(shape.name)", work: .flops(shape.flops), counterpart: shape.bytes
    ) { device in
      let operands = try shape.tensors(on: device)
      return {
        _ = try shape.run(operands[0], operands[1], operands[2])
        try device.synchronize()
      }
    }
  }

  /// Forward and backward of the sum; images with three channels are data and get no gradient.
  private static func gradients(_ shape: Shape) -> BenchCase {
    let isData = shape.channels == 3
    return BenchCase(
      name: "convgrad-\(shape.name)", work: .flops((isData ? 2 : 3) * shape.flops)
    ) { device in
      let operands = try shape.tensors(on: device)
      return {
        if isData {
          _ = try valueAndGradients(at: Array(operands[1...])) {
            try shape.run(operands[0], $0[0], $0[1]).sum()
          }
        } else {
          _ = try valueAndGradients(at: operands) { try shape.run($0[0], $0[1], $0[2]).sum() }
        }
        try device.synchronize()
      }
    }
  }

  /// One training step of two convolutions 5 × 5 with ReLU and pooling, 32 and 64 filters, then
  /// 3136-256-10, batch 128 of 28 × 28, Adam, data on the device.
  static let cnnStep = BenchCase(
    name: "cnn-step",
    work: .flops(
      2 * 128 * (2 * Double(784 * 32 * 25) + 3 * Double(196 * 64 * 32 * 25 + 3136 * 256 + 2560)))
  ) { device in
    let keys = RandomKey(1).split(6)
    func parameter(_ shape: [Int], _ index: Int, inputs: Int) throws -> Parameter {
      let bound = 1 / Float(inputs).squareRoot()
      return Parameter(
        try Tensor.uniform(shape, low: -bound, high: bound, key: keys[index], on: device))
    }
    let parameters = [
      try parameter([32, 1, 5, 5], 0, inputs: 25), Parameter(try Tensor.zeros([32], on: device)),
      try parameter([64, 32, 5, 5], 1, inputs: 800), Parameter(try Tensor.zeros([64], on: device)),
      try parameter([256, 3136], 2, inputs: 3136), Parameter(try Tensor.zeros([256], on: device)),
      try parameter([10, 256], 3, inputs: 256), Parameter(try Tensor.zeros([10], on: device)),
    ]
    let optimizer = try Adam(parameters, learningRate: 1e-3)
    let x = try Tensor.normal([128, 1, 28, 28], key: keys[4], on: device)
    let y = try Tensor((0..<128).map { Int32($0 % 10) }, on: device)
    return {
      let (_, gradients) = try valueAndGradients(of: parameters) { context in
        let p = try parameters.map { try context[$0] }
        var h = x
        for layer in [0, 2] {
          h = try h.conv2d(weight: p[layer], bias: p[layer + 1], padding: .same, activation: .relu)
            .maxPool2d(kernelSize: (2, 2))
        }
        h = try h.reshaped([128, 3136]).linear(p[4], bias: p[5], activation: .relu)
        return try crossEntropy(try h.linear(p[6], bias: p[7]), y)
      }
      try optimizer.step(gradients)
      try device.synchronize()
    }
  }
}

import Apus

extension BenchCase {
  /// One training step of 784-512-512-10, batch 128, Adam, data on the device.
  static let mlpStep = BenchCase(
    name: "mlp-step", work: .flops(3 * 2 * 128 * Double(784 * 512 + 512 * 512 + 512 * 10))
  ) { device in
    let keys = RandomKey(1).split(5)
    let model = Sequential([
      try Linear(784, 512, key: keys[0], on: device), ReLU(),
      try Linear(512, 512, key: keys[1], on: device), ReLU(),
      try Linear(512, 10, key: keys[2], on: device),
    ])
    let parameters = model.parameters()
    let optimizer = try Adam(parameters, learningRate: 1e-3)
    let x = try Tensor.normal([128, 784], key: keys[3], on: device)
    let y = try Tensor((0..<128).map { Int32($0 % 10) }, on: device)
    return {
      let (_, gradients) = try valueAndGradients(of: parameters) { context in
        try crossEntropy(model(x, context), y)
      }
      try optimizer.step(gradients)
      try device.synchronize()
    }
  }
}

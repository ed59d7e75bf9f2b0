import Apus

/// ResNet-20 for images of 32 × 32 (He, Zhang, Ren, Sun 2016, section 4.2): three stages of three
/// blocks with 16, 32 and 64 channels; shortcuts across stages are 1 × 1 convolutions.
private struct ResNet20 {
  /// A convolution and the batch normalisation behind it; its running statistics are `mean` 0 and
  /// `variance` 1 at the start.
  private struct Unit {
    let weight, gain, shift, mean, variance: Parameter
    let stride, padding: Int

    /// In inference the normalisation is folded into weight and bias.
    func run(
      _ x: Tensor, _ context: Context, activation: UnaryOp?, addend: Tensor? = nil
    ) throws -> Tensor {
      let padding = ConvolutionPadding.zeros(height: padding, width: padding)
      guard context.isTraining else {
        return try x.conv2d(
          weight: weight.value, bias: shift.value, stride: (stride, stride), padding: padding,
          activation: activation, addend: addend)
      }
      return try x.conv2d(
        weight: try context[weight], stride: (stride, stride), padding: padding
      ).batchNorm(
        weight: try context[gain], bias: try context[shift], runningMean: mean,
        runningVariance: variance, isTraining: true, activation: activation, addend: addend)
    }

    var parameters: [Parameter] { [weight, gain, shift] }
  }

  private var stem: Unit
  private var blocks: [(first: Unit, second: Unit, shortcut: Unit?)] = []
  private let weight, bias: Parameter

  init(on device: Device) throws {
    var number: UInt64 = 0
    func unit(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int) throws -> Unit {
      number += 1
      let deviation = (2 / Float(inputs * kernel * kernel)).squareRoot()
      return Unit(
        weight: Parameter(
          try Tensor.normal(
            [outputs, inputs, kernel, kernel], standardDeviation: deviation, key: RandomKey(number),
            on: device)), gain: Parameter(try Tensor.full([outputs], 1, on: device)),
        shift: Parameter(try Tensor.zeros([outputs], on: device)),
        mean: Parameter(try Tensor.zeros([outputs], on: device), isTrainable: false),
        variance: Parameter(try Tensor.full([outputs], 1, on: device), isTrainable: false),
        stride: stride, padding: kernel / 2)
    }
    stem = try unit(3, 16, kernel: 3, stride: 1)
    var inputs = 16
    for outputs in [16, 32, 64] {
      for block in 0..<3 {
        let stride = block == 0 && inputs != outputs ? 2 : 1
        blocks.append(
          (
            try unit(inputs, outputs, kernel: 3, stride: stride),
            try unit(outputs, outputs, kernel: 3, stride: 1),
            inputs == outputs ? nil : try unit(inputs, outputs, kernel: 1, stride: stride)
          ))
        inputs = outputs
      }
    }
    weight = Parameter(
      try Tensor.normal([10, 64], standardDeviation: 0.1, key: RandomKey(99), on: device))
    bias = Parameter(try Tensor.zeros([10], on: device))
  }

  var parameters: [Parameter] {
    stem.parameters
      + blocks.flatMap {
        $0.first.parameters + $0.second.parameters + ($0.shortcut?.parameters ?? [])
      } + [weight, bias]
  }

  func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    var h = try stem.run(x, context, activation: .relu)
    for block in blocks {
      let shortcut = try block.shortcut?.run(h, context, activation: nil) ?? h
      let inner = try block.first.run(h, context, activation: .relu)
      h = try block.second.run(inner, context, activation: .relu, addend: shortcut)
    }
    return try h.mean(axes: [2, 3]).linear(try context[weight], bias: try context[bias])
  }
}

extension BenchCase {
  /// Operations of one image, forward.
  private static let flops = 2 * 40.8e6

  static let resNetCases: [BenchCase] =
    [
      BenchCase(name: "resnet20-step", work: .flops(3 * 64 * flops)) { device in
        let model = try ResNet20(on: device)
        let parameters = model.parameters
        let optimizer = try Adam(parameters, learningRate: 1e-3)
        let x = try Tensor.normal([64, 3, 32, 32], key: RandomKey(1), on: device)
        let y = try Tensor((0..<64).map { Int32($0 % 10) }, on: device)
        return {
          let (_, gradients) = try valueAndGradients(of: parameters) { context in
            try crossEntropy(model(x, context), y)
          }
          try optimizer.step(gradients)
          try device.synchronize()
        }
      }
    ]
    + [1, 64].map { batch in
      BenchCase(name: "resnet20-inference-\(batch)", work: .flops(Double(batch) * flops)) {
        device in
        let model = try ResNet20(on: device)
        let x = try Tensor.normal([batch, 3, 32, 32], key: RandomKey(1), on: device)
        return {
          _ = try model(x, .evaluation)
          try device.synchronize()
        }
      }
    }
}

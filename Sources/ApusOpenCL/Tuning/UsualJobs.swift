import ApusDevice

extension TuningJob {
  /// Jobs of common sizes: products of square matrices and of the layers of a perceptron, convolutions of
  /// residual networks, recurrent layers, softmax, sums and changes of memory order. The most useful first.
  /// - Parameter isChannelsLast: Whether images lie with channels next to each other.
  /// - Parameter isLarge: Whether large products are among them, as a GPU meets them.
  package static func usual(isChannelsLast: Bool, isLarge: Bool = false) -> [TuningJob] {
    let large = isLarge ? [product(2048, 2048, 2048), product(4096, 4096, 4096)] : []
    return large + products + convolutions(isChannelsLast) + recurrences + rows
  }

  private static func dense(_ shape: [Int]) -> Shape { Shape(Layout(contiguous: shape)) }

  /// `[m, k] · [k, n]`, `out = x · weightᵀ`, and the gradients `dyᵀ · x` and `dy · weight`.
  package static func product(_ m: Int, _ n: Int, _ k: Int) -> TuningJob {
    TuningJob(.gemm, [dense([1, m, k]), dense([1, k, n])], [dense([1, m, n])])
  }

  package static func layer(rows: Int, outputs: Int, inputs: Int) -> TuningJob {
    TuningJob(
      .linear(activation: nil), [dense([rows, inputs]), dense([outputs, inputs])],
      [dense([rows, outputs])])
  }

  package static func gradient(rows: Int, outputs: Int, inputs: Int) -> TuningJob {
    let turned = Layout(
      shape: [1, outputs, rows], strides: [rows * outputs, 1, outputs], offset: 0)
    return TuningJob(
      .gemm, [Shape(turned), dense([1, rows, inputs])], [dense([1, outputs, inputs])])
  }

  private static var products: [TuningJob] {
    var all = [
      product(256, 256, 256), product(512, 512, 512), product(1024, 1024, 1024),
      product(128, 512, 784),
    ]
    for (inputs, outputs) in [(784, 512), (512, 512), (512, 10)] {
      for rows in [64, 128] {
        all.append(layer(rows: rows, outputs: outputs, inputs: inputs))
        all.append(product(rows, inputs, outputs))
        all.append(gradient(rows: rows, outputs: outputs, inputs: inputs))
      }
    }
    return all
  }

  /// A layer forward and both of its gradients.
  package static func convolution(
    images: Int, channels: Int, outputs: Int, size: Int, kernel: Int, stride: Int = 1,
    isChannelsLast: Bool
  ) -> [TuningJob] {
    func image(_ shape: [Int]) -> Shape {
      isChannelsLast ? Shape(Layout(channelsLast: shape)) : dense(shape)
    }
    let padding = kernel / 2
    let convolution = Convolution(
      Window(
        height: kernel, width: kernel, strideHeight: stride, strideWidth: stride, top: padding,
        bottom: padding, left: padding, right: padding))
    let extent = (size + 2 * padding - kernel) / stride + 1
    let x = image([images, channels, size, size])
    let y = image([images, outputs, extent, extent])
    let weight = dense([outputs, channels, kernel, kernel])
    let forward = TuningJob(.convolution(convolution, activation: nil), [x, weight], [y])
    let weights = TuningJob(
      .convolutionWeightGradient(convolution), [x, y], [weight])
    // The first layer of a network asks for no gradient of its images.
    if channels < 8 { return [forward, weights] }
    return [
      forward, TuningJob(.convolutionInputGradient(convolution), [y, weight], [x]), weights,
    ]
  }

  private static func convolutions(_ isChannelsLast: Bool) -> [TuningJob] {
    func layer(_ n: Int, _ c: Int, _ k: Int, _ size: Int, _ kernel: Int, _ stride: Int = 1)
      -> [TuningJob]
    {
      convolution(
        images: n, channels: c, outputs: k, size: size, kernel: kernel, stride: stride,
        isChannelsLast: isChannelsLast)
    }
    return layer(64, 16, 16, 32, 3) + layer(64, 32, 32, 16, 3) + layer(64, 64, 64, 8, 3)
      + layer(32, 64, 64, 56, 3) + layer(32, 256, 256, 14, 3) + layer(16, 3, 64, 224, 7, 2)
      + layer(32, 256, 64, 56, 1) + layer(64, 16, 32, 32, 3, 2)
  }

  /// A pass that keeps what its gradient needs, and the gradient.
  package static func recurrence(
    _ cell: Recurrence.Cell, steps: Int, rows: Int, width: Int
  ) -> [TuningJob] {
    let gates = dense([steps, rows, cell.gateCount * width])
    let weight = dense([cell.gateCount * width, width])
    let (y, state) = (dense([steps, rows, width]), dense([rows, width]))
    let states = cell == .lstm ? [state, state] : [state]
    let saved = cell.savedCount == 0 ? [] : [dense([steps, rows, cell.savedCount * width])]
    return [
      TuningJob(.recurrence(Recurrence(cell)), [gates, weight] + states, [y] + states + saved),
      TuningJob(
        .recurrenceBackward(Recurrence(cell)), [weight, y] + saved + states + [y] + states,
        [gates, weight] + states),
    ]
  }

  private static var recurrences: [TuningJob] {
    recurrence(.lstm, steps: 64, rows: 32, width: 256)
      + recurrence(.gru, steps: 64, rows: 32, width: 256)
      + recurrence(.tanh, steps: 64, rows: 32, width: 256)
      + recurrence(.lstm, steps: 64, rows: 1, width: 256)
  }

  private static var rows: [TuningJob] {
    let table = dense([8192, 1000])
    let (last, first) = (
      Shape(Layout(channelsLast: [32, 64, 56, 56])), dense([32, 64, 56, 56])
    )
    return [
      TuningJob(.softmax, [table], [table]), TuningJob(.softmaxBackward, [table, table], [table]),
      TuningJob(.reduce(.sum, axes: [0]), [table], [dense([1, 1000])]),
      TuningJob(.reduce(.sum, axes: [1]), [table], [dense([8192, 1])]),
      TuningJob(.reduce(.sum, axes: [0, 1]), [table], [dense([1, 1])]),
      TuningJob(.copy, [first], [last]), TuningJob(.copy, [last], [first]),
    ]
  }
}

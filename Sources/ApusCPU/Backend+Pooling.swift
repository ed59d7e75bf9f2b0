import ApusDevice
import CVector

extension CPUBackend {
  func maxPool(_ window: Window, _ x: Operand, _ outputs: [Operand]) throws {
    guard outputs[0].count > 0 else { return }
    var sizes = apus_pooling(window, input: x.shape, output: outputs[0].shape)
    try readingImages([x]) { images in
      try withImage(outputs[0]) { out in
        func run(_ indices: Operand?) throws {
          apus_max_pool(
            &sizes, try floats(images[0]), try floats(out), try indices.map { try words($0) })
        }
        guard outputs.count > 1 else { return try run(nil) }
        try withImage(outputs[1]) { try run($0) }
      }
    }
  }

  func maxPoolBackward(
    _ window: Window, _ dy: Operand, _ indices: Operand, _ dx: Operand
  ) throws {
    guard dx.count > 0, dy.count > 0 else { return try clearAll([dx]) }
    var sizes = apus_pooling(window, input: dx.shape, output: dy.shape)
    try readingImages([dy, indices]) { images in
      try withImage(dx) {
        apus_max_pool_backward(
          &sizes, try floats(images[0]), try words(images[1]), try floats($0))
      }
    }
  }

  func averagePool(_ window: Window, _ countsPadding: Bool, _ x: Operand, _ out: Operand) throws {
    let (rows, columns) = window.averages(countsPadding, input: x.shape, output: out.shape)
    try resample(rows, columns, x, out)
  }

  func averagePoolBackward(
    _ window: Window, _ countsPadding: Bool, _ dy: Operand, _ dx: Operand
  ) throws {
    let (rows, columns) = window.averages(countsPadding, input: dx.shape, output: dy.shape)
    try resample(rows.transposed(dx.shape[2]), columns.transposed(dx.shape[3]), dy, dx)
  }

  func adaptiveAveragePool(_ x: Operand, _ out: Operand) throws {
    try resample(
      Taps(adaptive: x.shape[2], out.shape[2]), Taps(adaptive: x.shape[3], out.shape[3]), x, out)
  }

  func adaptiveAveragePoolBackward(_ dy: Operand, _ dx: Operand) throws {
    try resample(
      Taps(adaptive: dx.shape[2], dy.shape[2]).transposed(dx.shape[2]),
      Taps(adaptive: dx.shape[3], dy.shape[3]).transposed(dx.shape[3]), dy, dx)
  }

  func upsample(_ upsampling: Upsampling, _ x: Operand, _ out: Operand) throws {
    try resample(
      Taps(upsampling, axis: 2, x.shape[2], out.shape[2]),
      Taps(upsampling, axis: 3, x.shape[3], out.shape[3]), x, out)
  }

  func upsampleBackward(_ upsampling: Upsampling, _ dy: Operand, _ dx: Operand) throws {
    try resample(
      Taps(upsampling, axis: 2, dx.shape[2], dy.shape[2]).transposed(dx.shape[2]),
      Taps(upsampling, axis: 3, dx.shape[3], dy.shape[3]).transposed(dx.shape[3]), dy, dx)
  }

  private func resample(_ rows: Taps, _ columns: Taps, _ x: Operand, _ out: Operand) throws {
    guard out.count > 0, x.count > 0 else { return try clearAll([out]) }
    try readingImages([x]) { images in
      let shape = x.shape
      try withImage(out) { out in
        let (source, target) = (try floats(images[0]), try floats(out))
        rows.withTaps { rows in
          columns.withTaps { columns in
            var (rows, columns) = (rows, columns)
            apus_resample(
              shape[0], shape[2], shape[3], shape[1], &rows, &columns, source, target)
          }
        }
      }
    }
  }
}

/// A linear map of an axis: output position `o` adds up the input positions from `first[o]` on with
/// its weights. Averages and interpolation are such maps, and their gradients the transposed ones.
struct Taps {
  private(set) var first: [Int] = []
  /// Where the weights of each output begin, and the end of the last.
  private(set) var start = [0]
  private(set) var weights: [Float] = []

  init(_ lines: [(first: Int, weights: [Float])]) {
    for line in lines {
      first.append(line.first)
      weights += line.weights
      start.append(weights.count)
    }
    // An empty array has no address, even where nothing is read.
    if weights.isEmpty { weights = [0] }
  }

  init(adaptive input: Int, _ output: Int) {
    self.init(
      (0..<output).map { i in
        let (begin, end) = (i * input / output, ((i + 1) * input + output - 1) / output)
        return (begin, [Float](repeating: 1 / Float(end - begin), count: end - begin))
      })
  }

  init(_ upsampling: Upsampling, axis: Int, _ input: Int, _ output: Int) {
    self.init(
      upsampling.sources(axis: axis, input: input, output: output).map { source in
        source.second == source.first
          ? (source.first, [1])
          : (source.first, [Float(1 - source.share), Float(source.share)])
      })
  }

  /// The adjoint, from the outputs to an axis of `extent` inputs.
  func transposed(_ extent: Int) -> Taps {
    var reached = [ClosedRange<Int>?](repeating: nil, count: extent)
    for o in first.indices {
      for input in first[o]..<first[o] + start[o + 1] - start[o] {
        reached[input] = (reached[input]?.lowerBound ?? o)...o
      }
    }
    return Taps(
      reached.enumerated().map { input, outputs in
        guard let outputs else { return (0, []) }
        return (
          outputs.lowerBound,
          outputs.map { o in
            let at = input - first[o]
            return at >= 0 && at < start[o + 1] - start[o] ? weights[start[o] + at] : 0
          }
        )
      })
  }

  func withTaps(_ body: (apus_taps) -> Void) {
    first.withUnsafeBufferPointer { first in
      start.withUnsafeBufferPointer { start in
        weights.withUnsafeBufferPointer { weights in
          guard let f = first.baseAddress, let s = start.baseAddress,
            let w = weights.baseAddress
          else { return }
          body(apus_taps(outputs: first.count, first: f, start: s, weights: w))
        }
      }
    }
  }
}

extension Window {
  /// The maps of rows and columns whose product is the mean of each window.
  fileprivate func averages(
    _ countsPadding: Bool, input: [Int], output: [Int]
  ) -> (rows: Taps, columns: Taps) {
    func axis(
      _ input: Int, _ output: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ before: Int,
      _ after: Int
    ) -> Taps {
      let counted = countsPadding ? -before..<input + after : 0..<input
      return Taps(
        (0..<output).map { o in
          let begin = o * stride - before
          let taps = (0..<kernel).lazy.map { begin + $0 * dilation }
          let share = 1 / Float(taps.count { counted.contains($0) })
          let inside = Array(taps.filter { $0 >= 0 && $0 < input })
          guard let first = inside.first, let last = inside.last else { return (0, []) }
          return (first, (first...last).map { ($0 - begin) % dilation == 0 ? share : 0 })
        })
    }
    return (
      axis(input[2], output[2], height, strideHeight, dilationHeight, top, bottom),
      axis(input[3], output[3], width, strideWidth, dilationWidth, left, right)
    )
  }
}

extension apus_pooling {
  fileprivate init(_ window: Window, input: [Int], output: [Int]) {
    self.init(
      batch: input[0], channels: input[1], height: input[2], width: input[3],
      out_height: output[2], out_width: output[3], kernel_height: window.height,
      kernel_width: window.width, stride_height: window.strideHeight,
      stride_width: window.strideWidth, dilation_height: window.dilationHeight,
      dilation_width: window.dilationWidth, top: window.top, left: window.left)
  }
}

import ApusDevice
import CVector
import Testing

extension CPUTests {
  /// Convolutions and their gradients against plain loops in double, at every level: Winograd's tiles
  /// for windows of 3 and 5, direct tiles, depthwise loops.
  struct ConvolutionTests {
    struct Shape: Sendable, CustomTestStringConvertible {
      let input: [Int]
      let filters, kernel, stride, padding, groups: Int

      init(
        _ input: [Int], _ filters: Int, kernel: Int, stride: Int = 1, padding: Int, groups: Int = 1
      ) {
        self.input = input
        (self.filters, self.kernel, self.stride) = (filters, kernel, stride)
        (self.padding, self.groups) = (padding, groups)
      }

      var output: [Int] {
        [input[0], filters] + input[2...].map { ($0 + 2 * padding - kernel) / stride + 1 }
      }
      var weight: [Int] { [filters, input[1] / groups, kernel, kernel] }
      var convolution: Convolution {
        Convolution(
          Window(
            height: kernel, width: kernel, strideHeight: stride, strideWidth: stride, top: padding,
            bottom: padding, left: padding, right: padding), groups: groups)
      }
      var testDescription: String {
        "\(input) → \(filters), \(kernel)×\(kernel), stride \(stride), \(groups) groups"
      }
    }

    static let shapes = [
      // Tiles cut at the edges, channels that fill no vector.
      Shape([2, 20, 13, 18], 37, kernel: 3, padding: 1),
      Shape([3, 64, 14, 14], 64, kernel: 3, padding: 0),
      Shape([2, 33, 11, 14], 48, kernel: 5, padding: 2),
      // Below what pays for Winograd's transforms.
      Shape([2, 5, 9, 10], 7, kernel: 3, padding: 1),
      Shape([2, 16, 12, 13], 24, kernel: 3, stride: 2, padding: 1),
      Shape([2, 24, 15, 13], 40, kernel: 1, padding: 0),
      Shape([2, 3, 20, 21], 10, kernel: 7, stride: 2, padding: 3),
      Shape([2, 12, 9, 8], 18, kernel: 3, padding: 1, groups: 3),
      Shape([2, 37, 12, 11], 37, kernel: 3, padding: 1, groups: 37),
      // Planes: rows of several vectors, windows of 3, of 5 and of another size.
      Shape([2, 3, 11, 56], 3, kernel: 3, padding: 1, groups: 3),
      Shape([2, 4, 9, 37], 4, kernel: 5, padding: 2, groups: 4),
      Shape([2, 2, 9, 21], 2, kernel: 4, padding: 2, groups: 2),
      // Data turned while it is gathered: whole squares, overlapping ones, and without a square.
      Shape([2, 37, 7, 23], 37, kernel: 3, padding: 1, groups: 37),
      Shape([2, 32, 9, 16], 32, kernel: 3, stride: 2, padding: 1, groups: 32),
      Shape([3, 19, 8, 35], 19, kernel: 1, stride: 2, padding: 0, groups: 19),
      Shape([2, 6, 9, 20], 12, kernel: 3, padding: 1, groups: 3),
      Shape([2, 5, 9, 11], 10, kernel: 3, stride: 2, padding: 1, groups: 5),
      Shape([2, 4, 6, 7], 9, kernel: 1, padding: 0),
    ]

    @Test(arguments: shapes, Array(0...Int(apus_best_level())))
    func equalsLoops(shape: Shape, level: Int) throws {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      var numbers = Numbers(UInt64(shape.filters + level))
      func count(_ shape: [Int]) -> Int { shape.reduce(1, *) }
      let (x, w) = (numbers.floats(count(shape.input)), numbers.floats(count(shape.weight)))
      let (bias, dy) = (numbers.floats(shape.filters), numbers.floats(count(shape.output)))
      let expected = loops(shape, x, w, bias, dy)
      let results = try run(shape, x, w, bias, dy)
      // In units of a result's root mean square: Winograd's sums err by up to 7e-6 forward and 1.3e-5
      // in gradients of weights, direct ones by a third of that.
      func expectAgreement(_ results: [[Float]], _ order: String) {
        for (name, got, want) in zip3(["out", "dx", "dw", "dbias"], results, expected) {
          let square = want.reduce(0) { $0 + $1 * $1 } / Double(want.count)
          let worst = zip(got, want).map { abs(Double($0) - $1) }.max() ?? .nan
          #expect(worst <= 2e-5 * square.squareRoot(), "\(name), \(order)")
        }
      }
      expectAgreement(results, "NCHW")
      apus_limit_threads(1)
      defer { apus_limit_threads(0) }
      #expect(try run(shape, x, w, bias, dy) == results, "one thread gives other bits")
      let turned = try run(shape, x, w, bias, dy, isChannelsLast: true)
      expectAgreement(turned, "NHWC")
      // Planes are summed along their rows; all others are turned first.
      if !shape.convolution.keepsPlanes(weight: shape.weight) {
        #expect(turned == results, "another memory order of the input gives other bits")
      }
    }

    private func run(
      _ shape: Shape, _ x: [Float], _ w: [Float], _ bias: [Float], _ dy: [Float],
      isChannelsLast: Bool = false
    ) throws -> [[Float]] {
      let device = try sharedDevice()
      var image = try upload(x, shape.input)
      if isChannelsLast {
        let turned = try device.featureMap(shape.input)
        try device.enqueue(.copy, [image], [turned])
        image = turned
      }
      let operands = try (
        image, upload(w, shape.weight), upload(bias, [shape.filters]),
        upload(dy, shape.output)
      )
      let outputs = try [shape.output, shape.input, shape.weight, [shape.filters]].map {
        try device.temporary($0)
      }
      try device.enqueue(
        .convolution(shape.convolution, activation: nil), [operands.0, operands.1, operands.2],
        [outputs[0]])
      try device.enqueue(
        .convolutionInputGradient(shape.convolution), [operands.3, operands.1], [outputs[1]])
      try device.enqueue(
        .convolutionWeightGradient(shape.convolution), [operands.0, operands.3],
        [outputs[2], outputs[3]])
      return try outputs.map { try logicalValues($0) }
    }

    /// Output, gradients of input, weight and bias.
    private func loops(
      _ shape: Shape, _ x: [Float], _ w: [Float], _ bias: [Float], _ dy: [Float]
    ) -> [[Double]] {
      let (input, output, kernel) = (shape.input, shape.output, shape.kernel)
      let depth = shape.weight[1]
      var out = [Double](repeating: 0, count: dy.count)
      var dx = [Double](repeating: 0, count: x.count)
      var dw = [Double](repeating: 0, count: w.count)
      var dbias = [Double](repeating: 0, count: bias.count)
      for at in dy.indices {
        let (column, row) = (at % output[3], at / output[3] % output[2])
        let (filter, image) = (
          at / output[3] / output[2] % output[1], at / output[3] / output[2] / output[1]
        )
        let group = filter / (shape.filters / shape.groups)
        out[at] += Double(bias[filter])
        dbias[filter] += Double(dy[at])
        for d in 0..<depth {
          for i in 0..<kernel {
            for j in 0..<kernel {
              let (h, v) = (
                row * shape.stride + i - shape.padding, column * shape.stride + j - shape.padding
              )
              guard h >= 0, v >= 0, h < input[2], v < input[3] else { continue }
              let from = ((image * input[1] + group * depth + d) * input[2] + h) * input[3] + v
              let tap = ((filter * depth + d) * kernel + i) * kernel + j
              out[at] += Double(x[from]) * Double(w[tap])
              dx[from] += Double(dy[at]) * Double(w[tap])
              dw[tap] += Double(dy[at]) * Double(x[from])
            }
          }
        }
      }
      return [out, dx, dw, dbias]
    }

    private func zip3<A, B, C>(_ a: [A], _ b: [B], _ c: [C]) -> [(A, B, C)] {
      zip(a, zip(b, c)).map { ($0, $1.0, $1.1) }
    }
  }
}

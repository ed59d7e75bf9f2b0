import Apus
import Foundation
import TestSupport
import Testing

/// Operations on images against values that PyTorch computed in float64 (`Golden/make_images.py`).
struct ImageGoldenTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name, operation, text: String
    let numbers: [String: [Int]]
    let inputs: [GoldenArray]
    let output, outputGradient: GoldenArray
    let inputGradients: [GoldenArray]
    /// Of a maximum.
    let indices: GoldenArray?
    /// Batches that moved the running statistics before, and what these are at the end.
    let earlier, running: [GoldenArray]?
    var testDescription: String { name }

    func pair(_ name: String) -> (Int, Int) {
      let values = numbers[name] ?? []
      return (values.first ?? 1, values.last ?? 1)
    }
    func number(_ name: String) -> Int { numbers[name]?.first ?? 0 }
    func flag(_ name: String) -> Bool { number(name) != 0 }

    var activation: UnaryOp? {
      switch text {
      case "relu": .relu
      case "tanh": .tanh
      case "sigmoid": .sigmoid
      case "silu": .silu
      case "gelu": .gelu
      case "elu": .elu(alpha: 1)
      default: nil
      }
    }

    var padding: ConvolutionPadding {
      let sides = numbers["padding"] ?? []
      if sides == [-1] { return .same }
      return switch sides.count {
      case 4: .sides(top: sides[0], bottom: sides[1], left: sides[2], right: sides[3])
      case 2: .zeros(height: sides[0], width: sides[1])
      default: .zeros(height: 0, width: sides[0])
      }
    }
  }

  static func cases() throws -> [Case] { try golden("images", in: .module) }

  /// Relative to 1 + the value: sums of some hundred products of numbers below 2.
  static let tolerance = 2e-5

  @Test(arguments: try Self.cases(), TestDevices.all)
  func agrees(_ c: Case, on device: Device) throws {
    let inputs = try c.inputs.map { try $0.tensor(on: device) }
    try check(c, inputs, on: device)
    // The same images with channels last.
    guard inputs[0].rank == 4 else { return }
    let permuted = try inputs.map { x in
      x.rank == 4
        ? try x.permuted([0, 2, 3, 1]).contiguous().permuted([0, 3, 1, 2]) : x
    }
    try check(c, permuted, on: device)
  }

  private func check(_ c: Case, _ inputs: [Tensor], on device: Device) throws {
    let tape = Tape()
    let watched = try inputs.map { try tape.watch($0) }
    let statistics = try Statistics(c, on: device)
    let y = try apply(c, watched, statistics)
    #expect(try distance(y, c.output) < Self.tolerance)
    let gradients = try tape.gradients(
      of: y, for: watched, seed: try c.outputGradient.tensor(on: device))
    for (gradient, wanted) in zip(gradients, c.inputGradients) {
      #expect(try distance(gradient, wanted) < Self.tolerance)
    }
    if let statistics, let running = c.running {
      #expect(try distance(statistics.mean.value, running[0]) < 1e-5)
      #expect(try distance(statistics.variance.value, running[1]) < 1e-5)
    }
    // Without a tape every activation is fused; the answer is the same.
    #expect(
      try distance(try apply(c, inputs, try Statistics(c, on: device)), c.output)
        < Self.tolerance)
    if let wanted = c.indices {
      let (values, indices) = try inputs[0].maxPool2dWithIndices(
        kernelSize: c.pair("kernel"), stride: c.pair("stride"), padding: c.pair("padding"),
        dilation: c.pair("dilation"), ceilMode: c.flag("ceil"))
      #expect(try distance(values, c.output) == 0)
      #expect(try distance(indices.to(.float32), wanted) == 0)
    }
  }

  /// Running statistics after the earlier batches.
  private struct Statistics {
    let mean, variance: Parameter

    init?(_ c: Case, on device: Device) throws {
      guard let earlier = c.earlier else { return nil }
      let channels = [c.inputs[0].shape[1]]
      mean = Parameter(try .zeros(channels, on: device), isTrainable: false)
      variance = Parameter(try .ones(channels, on: device), isTrainable: false)
      for batch in earlier {
        _ = try batch.tensor(on: device).batchNorm(
          runningMean: mean, runningVariance: variance, isTraining: true, momentum: 0.25,
          epsilon: 1e-3)
      }
    }
  }

  private func apply(_ c: Case, _ x: [Tensor], _ statistics: Statistics?) throws -> Tensor {
    switch c.operation {
    case "conv2d":
      return try x[0].conv2d(
        weight: x[1], bias: c.flag("bias") ? x[2] : nil, stride: c.pair("stride"),
        padding: c.padding, dilation: c.pair("dilation"), groups: c.number("groups"),
        activation: c.activation, addend: c.flag("addend") ? x.last : nil)
    case "conv1d":
      return try x[0].conv1d(
        weight: x[1], bias: x[2], stride: c.number("stride"), padding: c.padding,
        dilation: c.number("dilation"), groups: c.number("groups"))
    case "convTranspose2d":
      return try x[0].convTranspose2d(
        weight: x[1], bias: x[2], stride: c.pair("stride"), padding: c.pair("padding"),
        outputPadding: c.pair("outputPadding"), dilation: c.pair("dilation"),
        groups: c.number("groups"))
    case "convTranspose1d":
      return try x[0].convTranspose1d(
        weight: x[1], bias: x[2], stride: c.number("stride"), padding: c.number("padding"),
        outputPadding: c.number("outputPadding"), dilation: c.number("dilation"),
        groups: c.number("groups"))
    case "maxPool2d":
      return try x[0].maxPool2d(
        kernelSize: c.pair("kernel"), stride: c.pair("stride"), padding: c.pair("padding"),
        dilation: c.pair("dilation"), ceilMode: c.flag("ceil"))
    case "maxPool1d":
      return try x[0].maxPool1d(
        kernelSize: c.number("kernel"), stride: c.number("stride"), padding: c.number("padding"),
        dilation: c.number("dilation"), ceilMode: c.flag("ceil"))
    case "avgPool2d":
      return try x[0].avgPool2d(
        kernelSize: c.pair("kernel"), stride: c.pair("stride"), padding: c.pair("padding"),
        ceilMode: c.flag("ceil"), countIncludePad: c.flag("counts"))
    case "avgPool1d":
      return try x[0].avgPool1d(
        kernelSize: c.number("kernel"), stride: c.number("stride"), padding: c.number("padding"),
        ceilMode: c.flag("ceil"), countIncludePad: c.flag("counts"))
    case "adaptiveAvgPool2d": return try x[0].adaptiveAvgPool2d(c.pair("size"))
    case "interpolated":
      return try x[0].interpolated(
        size: c.pair("size"), mode: c.text == "nearest" ? .nearest : .bilinear,
        alignsCorners: c.flag("corners"))
    case "batchNorm":
      return try x[0].batchNorm(
        weight: c.flag("affine") ? x[1] : nil, bias: c.flag("affine") ? x[2] : nil,
        runningMean: statistics?.mean, runningVariance: statistics?.variance,
        isTraining: c.flag("training"), momentum: 0.25, epsilon: 1e-3, activation: c.activation,
        addend: c.flag("addend") ? x.last : nil)
    case "groupNorm":
      return try x[0].groupNorm(
        groups: c.number("groups"), weight: x.count > 1 ? x[1] : nil,
        bias: x.count > 1 ? x[2] : nil, epsilon: 1e-3)
    case "padded":
      let widths = c.numbers["widths"] ?? []
      let pairs = stride(from: 0, to: widths.count, by: 2).map { (widths[$0], widths[$0 + 1]) }
      let modes: [String: PaddingMode] = [
        "constant": .constant(1.5), "reflect": .reflect, "replicate": .replicate,
        "circular": .circular,
      ]
      return try x[0].padded(
        pairs.map { (before: $0.0, after: $0.1) }, mode: try #require(modes[c.text]))
    default:
      throw ApusError(.value, operation: c.operation, "is no operation of this test")
    }
  }
}

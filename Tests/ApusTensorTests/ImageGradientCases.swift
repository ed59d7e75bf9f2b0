import Apus
import TestSupport

extension GradientTests {
  static let images: [Case] = convolutions + pools + norms + paddings

  private static let convolutions: [Case] = [
    Case("conv2d", [[2, 3, 5, 6], [4, 3, 3, 2], [4]]) {
      try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: .zeros(height: 1, width: 1))
    },
    Case("conv2d strided, dilated", [[1, 2, 7, 6], [3, 2, 2, 3]]) {
      try $0[0].conv2d(weight: $0[1], stride: (2, 1), padding: .uneven, dilation: (2, 2))
    },
    Case("conv2d stride beyond the kernel", [[2, 1, 7, 8], [2, 1, 2, 1]]) {
      try $0[0].conv2d(weight: $0[1], stride: (3, 4))
    },
    Case("conv2d kernel beyond the image", [[1, 2, 2, 3], [2, 2, 4, 5], [2]]) {
      try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: .zeros(height: 2, width: 1))
    },
    Case("conv2d groups", [[2, 4, 4, 3], [6, 2, 2, 2], [6]]) {
      try $0[0].conv2d(weight: $0[1], bias: $0[2], groups: 2)
    },
    Case("conv2d depthwise", [[2, 3, 4, 4], [6, 1, 3, 3]]) {
      try $0[0].conv2d(weight: $0[1], padding: .same, groups: 3)
    },
    Case("conv2d of planes", [[1, 2, 5, 17], [2, 1, 3, 3], [2]]) {
      try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: .same, groups: 2)
    },
    Case("conv2d fused", [[2, 2, 4, 4], [3, 2, 2, 2], [3], [2, 3, 4, 4]]) {
      try $0[0].conv2d(
        weight: $0[1], bias: $0[2], padding: .same, activation: .tanh, addend: $0[3])
    },
    Case("conv2d with an addend alone", [[1, 2, 3, 3], [3, 2, 1, 1], [1, 3, 3, 3]]) {
      try $0[0].conv2d(weight: $0[1], activation: .silu, addend: $0[2])
    },
    Case("conv2d of an empty batch", [[0, 2, 3, 3], [3, 2, 2, 2], [3]]) {
      try $0[0].conv2d(weight: $0[1], bias: $0[2])
    },
    Case("conv2d of channels last", [[2, 5, 4, 3], [4, 3, 3, 2], [4]]) {
      try $0[0].permuted([0, 3, 1, 2]).conv2d(
        weight: $0[1].transposed(2, 3), bias: $0[2], activation: .sigmoid)
    },
    Case("conv1d", [[2, 2, 7], [4, 1, 3], [4]]) {
      try $0[0].conv1d(
        weight: $0[1], bias: $0[2], stride: 2, padding: .zeros(height: 0, width: 2), dilation: 2,
        groups: 2)
    },
    Case("convTranspose2d", [[2, 4, 3, 2], [4, 3, 3, 2], [6]]) {
      try $0[0].convTranspose2d(
        weight: $0[1], bias: $0[2], stride: (2, 3), padding: (1, 0), outputPadding: (1, 2),
        groups: 2)
    },
    Case("convTranspose2d with much output padding", [[1, 2, 3, 3], [2, 1, 2, 2]]) {
      try $0[0].convTranspose2d(weight: $0[1], outputPadding: (2, 1), dilation: (3, 2))
    },
    Case("convTranspose1d", [[2, 2, 4], [2, 3, 3], [3]]) {
      try $0[0].convTranspose1d(weight: $0[1], bias: $0[2], stride: 2, padding: 1)
    },
  ]

  private static let pools: [Case] = [
    Case("maxPool2d", [[2, 2, 5, 6]]) { try $0[0].maxPool2d(kernelSize: (2, 2)) },
    Case("maxPool2d overlapping", [[2, 2, 5, 6]]) {
      try $0[0].maxPool2d(kernelSize: (3, 2), stride: (1, 2), padding: (1, 1), ceilMode: true)
    },
    Case("maxPool2d dilated", [[1, 2, 7, 6]]) {
      try $0[0].maxPool2dWithIndices(kernelSize: (2, 2), stride: (2, 1), dilation: (3, 2)).values
    },
    Case("maxPool1d", [[2, 3, 7]]) { try $0[0].maxPool1d(kernelSize: 3, stride: 2, padding: 1) },
    Case("avgPool2d", [[2, 2, 5, 6]]) {
      try $0[0].avgPool2d(kernelSize: (3, 2), stride: (2, 1), padding: (1, 1))
    },
    Case("avgPool2d with ceiling", [[2, 2, 6, 5]]) {
      try $0[0].avgPool2d(
        kernelSize: (3, 2), stride: (2, 2), padding: (1, 0), ceilMode: true,
        countIncludePad: false)
    },
    Case("avgPool1d", [[2, 2, 7]]) { try $0[0].avgPool1d(kernelSize: 2, ceilMode: true) },
    Case("adaptiveAvgPool2d", [[2, 2, 5, 7]]) { try $0[0].adaptiveAvgPool2d((2, 3)) },
    Case("adaptiveAvgPool2d enlarging", [[1, 2, 2, 3]]) { try $0[0].adaptiveAvgPool2d((3, 5)) },
    Case("interpolated", [[2, 2, 3, 4]]) { try $0[0].interpolated(size: (7, 3)) },
    Case("interpolated between", [[2, 2, 3, 4]]) {
      try $0[0].interpolated(size: (5, 2), mode: .bilinear)
    },
    Case("interpolated with corners", [[2, 1, 3, 4]]) {
      try $0[0].interpolated(size: (7, 1), mode: .bilinear, alignsCorners: true)
    },
  ]

  private static let norms: [Case] = [
    Case("batchNorm", [[3, 2, 2, 2], [2], [2]]) {
      try $0[0].batchNorm(weight: $0[1], bias: $0[2], isTraining: true)
    },
    Case("batchNorm plain", [[5, 3]]) { try $0[0].batchNorm(isTraining: true) },
    Case("batchNorm fused", [[3, 2, 4], [2], [3, 2, 4]]) {
      try $0[0].batchNorm(weight: $0[1], isTraining: true, activation: .tanh, addend: $0[2])
    },
    Case("batchNorm then an activation", [[3, 2, 4], [2]]) {
      try $0[0].batchNorm(bias: $0[1], isTraining: true, activation: .gelu)
    },
    Case("batchNorm in evaluation", [[3, 2, 2, 2], [2], [2], [3, 2, 2, 2]]) { x in
      let device = x[0].device
      return try x[0].batchNorm(
        weight: x[1], bias: x[2],
        runningMean: Parameter(try Tensor([Float(0.5), -1], on: device).to(x[0].dtype)),
        runningVariance: Parameter(try Tensor([Float(0.5), 2], on: device).to(x[0].dtype)),
        isTraining: false, activation: .sigmoid, addend: x[3])
    },
    Case("groupNorm", [[2, 4, 3, 2], [4], [4]]) {
      try $0[0].groupNorm(groups: 2, weight: $0[1], bias: $0[2])
    },
  ]

  private static let paddings: [Case] = [
    Case("padded constantly", [[2, 3, 4]]) {
      try $0[0].padded([(1, 2), (0, 1)], mode: .constant(3))
    },
    Case("padded mirrored", [[2, 3, 4]]) { try $0[0].padded([(1, 2), (3, 1)], mode: .reflect) },
    Case("padded with edges", [[2, 3, 4]]) {
      try $0[0].padded([(4, 2), (0, 5)], mode: .replicate)
    },
    Case("padded around", [[2, 3, 4]]) { try $0[0].padded([(3, 2), (0, 4)], mode: .circular) },
  ]
}

extension ConvolutionPadding {
  fileprivate static var uneven: ConvolutionPadding { .sides(top: 1, bottom: 2, left: 0, right: 3) }
}

/// How exactly a device computes products of matrices from `float32` operands.
///
/// Below ``float32`` the operands of a product are rounded first, once each; products and sums are those of
/// `float32`, and so are results. With `u` the ``unitRoundoff`` and sums of `k` terms
///
///     |computed − exact| ≤ (2u + u² + k · 2⁻²²) · Σ |a| |b|
///
/// for operands whose rounded value is finite and normal. It concerns matrix products alone: dense layers and
/// their gradients, batched products, the products of recurrent layers that need no state.
/// Convolutions and the steps of recurrent layers stay ``float32``. PyTorch asks for the same by
/// `torch.set_float32_matmul_precision`: `highest`, `high`, `medium`.
public enum MatrixPrecision: String, Sendable, Hashable, Codable, CaseIterable {
  /// True `float32` throughout, everywhere the default.
  case float32
  /// Operands of 10 bits of mantissa (TF32), to the nearest with halves away from zero.
  case tf32
  /// Operands of 7 bits of mantissa, to the nearest with halves to even.
  case bfloat16

  /// The largest relative error of an operand that is rounded: 2⁻²⁴, 2⁻¹¹, 2⁻⁸.
  public var unitRoundoff: Double {
    switch self {
    case .float32: 0x1p-24
    case .tf32: 0x1p-11
    case .bfloat16: 0x1p-8
    }
  }

  /// What a product takes in place of `x`.
  public func rounded(_ x: Float) -> Float {
    guard x.isFinite else { return x }
    let bits = x.bitPattern
    switch self {
    case .float32: return x
    case .tf32: return Float(bitPattern: (bits + 0x1000) & 0xFFFF_E000)
    case .bfloat16:
      return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }
  }
}

/// The error of a device that cannot compute products in a precision.
extension ApusError {
  /// - Parameter reason: What the device lacks.
  public static func missing(_ precision: MatrixPrecision, on device: String, _ reason: String)
    -> ApusError
  {
    ApusError(
      .device, operation: "precision",
      "'\(device)' does not compute matrix products in \(precision.rawValue): \(reason); use "
        + "--precision float32, or another device")
  }
}

extension Operation {
  /// Whether a device with kernels of its own computes (a part of) it by matrix products, which its
  /// ``Backend/matrixPrecision`` concerns: products, dense layers, and the gradient of the weights of
  /// recurrent layers.
  package var hasProducts: Bool {
    switch self {
    case .gemm, .linear, .recurrenceBackward: true
    default: false
    }
  }

  /// Whether its composed body does.
  package var isComposedOfProducts: Bool {
    switch self {
    case .convolution, .convolutionInputGradient, .convolutionWeightGradient, .recurrence: true
    default: hasProducts
    }
  }
}

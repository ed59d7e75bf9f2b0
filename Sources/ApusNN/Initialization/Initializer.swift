import ApusDevice
import ApusTensor
import Foundation

/// How a parameter gets its first values.
///
/// Values are drawn on the host from the key alone, so a model starts from the same bits on every
/// device. Names, formulas and defaults are those of `torch.nn.init`.
public enum Initializer: Sendable, Hashable {
  case zeros
  case ones
  case constant(Float)
  case uniform(low: Float, high: Float)
  case normal(mean: Float, standardDeviation: Float)
  /// Glorot and Bengio 2010: `U(±gain · √(6 / (fanIn + fanOut)))`.
  case xavierUniform(gain: Float = 1)
  /// `N(0, gain² · 2 / (fanIn + fanOut))`.
  case xavierNormal(gain: Float = 1)
  /// He et al. 2015: `U(±gain · √(3 / fan))`.
  case kaimingUniform(a: Float = 0, mode: Fan = .fanIn, nonlinearity: Nonlinearity = .leakyReLU)
  /// `N(0, gain² / fan)`.
  case kaimingNormal(a: Float = 0, mode: Fan = .fanIn, nonlinearity: Nonlinearity = .leakyReLU)
  /// Saxe et al. 2014: orthonormal rows or columns (whichever are fewer), times `gain`.
  case orthogonal(gain: Float = 1)

  /// Which side of a layer keeps its variance.
  public enum Fan: String, Sendable, Hashable, Codable { case fanIn, fanOut }

  /// What follows the layer; it sets the gain.
  public enum Nonlinearity: String, Sendable, Hashable, Codable {
    case linear, sigmoid, tanh, relu, leakyReLU, selu

    /// `torch.nn.init.calculate_gain`.
    public func gain(a: Float = 0.01) -> Float {
      switch self {
      case .linear, .sigmoid: 1
      case .tanh: 5.0 / 3
      case .relu: Float(2).squareRoot()
      case .leakyReLU: (2 / (1 + a * a)).squareRoot()
      case .selu: 0.75
      }
    }
  }

  /// A tensor of first values.
  /// - Throws: ``ApusError`` for a shape without fans where they are needed.
  public func tensor(_ shape: [Int], key: RandomKey, on device: Device) throws -> Tensor {
    try Tensor(try values(shape, key: key), shape: shape, on: device)
  }

  /// The first values in row-major order.
  public func values(_ shape: [Int], key: RandomKey) throws -> [Float] {
    let count = shape.reduce(1, *)
    switch self {
    case .zeros: return [Float](repeating: 0, count: count)
    case .ones: return [Float](repeating: 1, count: count)
    case .constant(let value): return [Float](repeating: value, count: count)
    case .uniform(let low, let high): return uniform(count, low, high, key)
    case .normal(let mean, let deviation): return normal(count, mean, deviation, key)
    case .xavierUniform(let gain):
      let fans = try fans(shape)
      let bound = gain * (6 / Float(max(fans.in + fans.out, 1))).squareRoot()
      return uniform(count, -bound, bound, key)
    case .xavierNormal(let gain):
      let fans = try fans(shape)
      return normal(count, 0, gain * (2 / Float(max(fans.in + fans.out, 1))).squareRoot(), key)
    case .kaimingUniform(let a, let mode, let nonlinearity):
      let fan = try fans(shape)
      let size = Float(max(mode == .fanIn ? fan.in : fan.out, 1))
      let bound = nonlinearity.gain(a: a) * (3 / size).squareRoot()
      return uniform(count, -bound, bound, key)
    case .kaimingNormal(let a, let mode, let nonlinearity):
      let fan = try fans(shape)
      let size = Float(max(mode == .fanIn ? fan.in : fan.out, 1))
      return normal(count, 0, nonlinearity.gain(a: a) / size.squareRoot(), key)
    case .orthogonal(let gain): return try orthogonal(shape, gain, key)
    }
  }

  /// Inputs and outputs of one unit: axes 1 and 0, times the receptive field.
  private func fans(_ shape: [Int]) throws -> (in: Int, out: Int) {
    guard shape.count >= 2 else {
      throw ApusError(
        .shape, operation: "initializer",
        "\(self) needs at least two axes (out, in, …), and the shape is \(shape)")
    }
    let field = shape.dropFirst(2).reduce(1, *)
    return (shape[1] * field, shape[0] * field)
  }

  private func uniform(_ count: Int, _ low: Float, _ high: Float, _ key: RandomKey) -> [Float] {
    var block = SIMD4<UInt32>()
    return (0..<count).map { index in
      if index % 4 == 0 { block = Philox.block(key: key.value, counter: UInt64(index / 4)) }
      return low + (high - low) * Philox.uniform(block[index % 4])
    }
  }

  private func normal(
    _ count: Int, _ mean: Float, _ deviation: Float, _ key: RandomKey
  ) -> [Float] {
    var draws = SIMD4<Double>()
    return (0..<count).map { index in
      if index % 4 == 0 {
        draws = Philox.normal(Philox.block(key: key.value, counter: UInt64(index / 4)))
      }
      return Float(Double(mean) + Double(deviation) * draws[index % 4])
    }
  }

  /// Gram–Schmidt, twice for full accuracy, on normal draws.
  private func orthogonal(_ shape: [Int], _ gain: Float, _ key: RandomKey) throws -> [Float] {
    _ = try fans(shape)  // Refuses shapes of fewer than two axes.
    let rows = shape[0]
    let columns = shape.dropFirst().reduce(1, *)
    let draws = normal(rows * columns, 0, 1, key)
    let isWide = columns >= rows
    let (count, length) = isWide ? (rows, columns) : (columns, rows)
    var basis: [[Double]] = []
    for index in 0..<count {
      var vector = (0..<length).map { step in
        Double(isWide ? draws[index * columns + step] : draws[step * columns + index])
      }
      for _ in 0..<2 {
        for earlier in basis {
          var dot = 0.0
          for step in 0..<length { dot += earlier[step] * vector[step] }
          for step in 0..<length { vector[step] -= dot * earlier[step] }
        }
      }
      let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      basis.append(vector.map { $0 / max(norm, .leastNormalMagnitude) })
    }
    var values = [Float](repeating: 0, count: rows * columns)
    for (index, vector) in basis.enumerated() {
      for step in 0..<length {
        values[isWide ? index * columns + step : step * columns + index] =
          gain * Float(vector[step])
      }
    }
    return values
  }
}

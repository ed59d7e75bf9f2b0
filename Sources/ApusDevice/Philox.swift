import Foundation

/// The counter-based generator Philox4x32-10.
///
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
/// Element `i` of a random tensor takes lane `i % 4` of block `i / 4`, so every device draws the same
/// bits whatever its width.
public enum Philox {
  /// Four random words of block `counter` under `key` (low words first, upper counter words 0).
  public static func block(key: UInt64, counter: UInt64) -> SIMD4<UInt32> {
    var x = SIMD4<UInt32>(
      UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), 0, 0)
    var k0 = UInt32(truncatingIfNeeded: key)
    var k1 = UInt32(truncatingIfNeeded: key >> 32)
    for _ in 0..<10 {
      let p0 = UInt64(x[0]) * 0xD251_1F53
      let p1 = UInt64(x[2]) * 0xCD9E_8D57
      x = SIMD4(
        UInt32(truncatingIfNeeded: p1 >> 32) ^ x[1] ^ k0, UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ x[3] ^ k1, UInt32(truncatingIfNeeded: p0))
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return x
  }

  /// A word as a number of `[0, 1)`: its upper 24 bits times 2⁻²⁴.
  public static func uniform(_ word: UInt32) -> Float { Float(word >> 8) * 0x1p-24 }

  /// Four normal draws from one block (Box and Muller 1958): lanes 0 and 1 are cosine and sine of the
  /// pair of words 0, 1; lanes 2 and 3 of words 2, 3. The radius takes `(word >> 8) + 1` so that the
  /// logarithm is finite.
  public static func normal(_ block: SIMD4<UInt32>) -> SIMD4<Double> {
    var result = SIMD4<Double>()
    for pair in 0..<2 {
      let u = Double((block[2 * pair] >> 8) + 1) * 0x1p-24
      let v = Double(block[2 * pair + 1] >> 8) * 0x1p-24
      let radius = (-2 * log(u)).squareRoot()
      result[2 * pair] = radius * cos(2 * .pi * v)
      result[2 * pair + 1] = radius * sin(2 * .pi * v)
    }
    return result
  }
}

/// An explicit random key: every random operation names one, none draws from hidden state.
public struct RandomKey: Sendable, Hashable, Codable {
  public let value: UInt64

  public init(_ seed: UInt64) {
    self.value = seed
  }

  /// An independent key for `data`, such as a step, an epoch or a layer.
  public func folded(_ data: UInt64) -> RandomKey {
    let block = Philox.block(key: value ^ 0x6170_7573_6B65_7973, counter: data)
    return RandomKey(UInt64(block[0]) | UInt64(block[1]) << 32)
  }

  /// `count` independent keys.
  public func split(_ count: Int) -> [RandomKey] {
    (0..<max(count, 0)).map { folded(UInt64($0)) }
  }
}

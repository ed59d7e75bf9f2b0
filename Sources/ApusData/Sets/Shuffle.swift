import ApusDevice

/// Orders drawn from explicit keys, the same on every device and machine.
public enum Shuffle {
  /// A random order of `0..<count` (Fisher and Yates; Durstenfeld 1964).
  public static func permutation(count: Int, key: RandomKey) -> [Int] {
    var order = Array(0..<max(count, 0))
    var draws = Draws(key: key)
    var last = order.count - 1
    while last > 0 {
      order.swapAt(last, draws.below(last + 1))
      last -= 1
    }
    return order
  }
}

/// A stream of words of ``Philox`` under one key.
struct Draws {
  private let key: UInt64
  private var counter: UInt64 = 0
  private var block = SIMD4<UInt32>()
  private var lane = 4

  init(key: RandomKey) { self.key = key.value }

  mutating func word() -> UInt32 {
    if lane == 4 {
      block = Philox.block(key: key, counter: counter)
      counter &+= 1
      lane = 0
    }
    defer { lane += 1 }
    return block[lane]
  }

  /// A number of `0..<bound` (`bound` positive) without bias to speak of: 64 bits times the bound,
  /// upper half.
  mutating func below(_ bound: Int) -> Int {
    let bits = UInt64(word()) << 32 | UInt64(word())
    return Int(truncatingIfNeeded: bits.multipliedFullWidth(by: UInt64(max(bound, 1))).high)
  }
}

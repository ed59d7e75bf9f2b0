import Foundation

/// The MD5 digest (RFC 1321), which published data sets give; it guards against damage, not malice.
package enum MD5 {
  private static let shifts: [UInt32] = [
    7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21,
  ]
  private static let constants: [UInt32] = (1...64).map {
    UInt32((sin(Double($0)).magnitude * 0x1p32).rounded(.down))
  }

  /// 32 lower-case digits.
  package static func hexadecimal(of message: [UInt8]) -> String {
    var state: SIMD4<UInt32> = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]
    let whole = message.count / 64 * 64
    var tail = Array(message[whole...]) + [0x80]
    while tail.count % 64 != 56 { tail.append(0) }
    withUnsafeBytes(of: (UInt64(message.count) &* 8).littleEndian) { tail.append(contentsOf: $0) }
    message.withUnsafeBytes { digest($0, 0..<whole, &state) }
    tail.withUnsafeBytes { digest($0, 0..<tail.count, &state) }
    return (0..<4).map { lane in
      (0..<4).map { byte in
        let value = UInt8(truncatingIfNeeded: state[lane] >> UInt32(8 * byte))
        return (value < 16 ? "0" : "") + String(value, radix: 16)
      }.joined()
    }.joined()
  }

  private static func digest(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ state: inout SIMD4<UInt32>
  ) {
    constants.withUnsafeBufferPointer { constants in
      shifts.withUnsafeBufferPointer { shifts in
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 64) {
          var (a, b, c, d) = (state[0], state[1], state[2], state[3])
          for step in 0..<64 {
            let round = step >> 4
            let (mix, word): (UInt32, Int) =
              switch round {
              case 0: (d ^ (b & (c ^ d)), step)
              case 1: (c ^ (d & (b ^ c)), (5 &* step &+ 1) & 15)
              case 2: (b ^ c ^ d, (3 &* step &+ 5) & 15)
              default: (c ^ (b | ~d), (7 &* step) & 15)
              }
            let input = UInt32(
              littleEndian: bytes.loadUnaligned(
                fromByteOffset: start + 4 * word, as: UInt32.self))
            let sum = a &+ mix &+ constants[step] &+ input
            let shift = shifts[4 * round + (step & 3)]
            (a, d, c) = (d, c, b)
            b = b &+ (sum &<< shift | sum &>> (32 &- shift))
          }
          state = state &+ [a, b, c, d]
        }
      }
    }
  }
}

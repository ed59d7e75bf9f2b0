/// A 64-bit hash of data, to notice that it changed; no protection against intent.
///
/// FNV-1a (Fowler, Noll, Vo) over words instead of bytes. Each step is a bijection of the state, so a
/// single changed word always changes the result.
public struct Fingerprint: Sendable, Hashable {
  public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  public mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0x0000_0100_0000_01B3
  }

  public mutating func add(_ text: String) {
    for byte in text.utf8 { add(UInt64(byte)) }
    add(UInt64(text.utf8.count))
  }

  /// Bit patterns, so that −0 and 0 differ.
  public mutating func add(_ values: [Float]) {
    for value in values { add(UInt64(value.bitPattern)) }
    add(UInt64(values.count))
  }

  public mutating func add(_ values: [Int32]) {
    for value in values { add(UInt64(UInt32(bitPattern: value))) }
    add(UInt64(values.count))
  }

  /// Eight bytes at a time, little-endian; what is left one by one.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    let whole = bytes.count / 8 * 8
    for offset in stride(from: 0, to: whole, by: 8) {
      add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }
    for byte in bytes[whole...] { add(UInt64(byte)) }
    add(UInt64(bytes.count))
  }

  /// 16 hexadecimal digits.
  public var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

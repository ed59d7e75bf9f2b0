import ApusDevice
import ApusReference
import Foundation
import Testing

@Suite struct PhiloxTests {
  /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10), as far as a 64-bit
  /// counter reaches.
  @Test func knownAnswers() {
    #expect(
      Philox.block(key: 0, counter: 0)
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
  }

  @Test func everyBitOfKeyAndCounterMatters() {
    let base = Philox.block(key: 0x0123_4567_89AB_CDEF, counter: 77)
    for bit in 0..<64 {
      let mask = UInt64(1) << UInt64(bit)
      #expect(Philox.block(key: 0x0123_4567_89AB_CDEF ^ mask, counter: 77) != base)
      #expect(Philox.block(key: 0x0123_4567_89AB_CDEF, counter: 77 ^ mask) != base)
    }
  }

  @Test func uniformStaysBelowOne() {
    #expect(Philox.uniform(0) == 0)
    #expect(Philox.uniform(.max) == 1 - 0x1p-24)
  }

  @Test func normalIsFiniteAtTheEnds() {
    for word in [UInt32.min, .max] {
      let draws = Philox.normal(SIMD4(repeating: word))
      for lane in 0..<4 { #expect(draws[lane].isFinite) }
    }
  }

  /// Bounds of five standard errors.
  @Test func moments() throws {
    let device = ReferenceBackend()
    let count = 200_000
    func draw(_ distribution: RandomDistribution) throws -> [Double] {
      let out = try device.temporary([count])
      try device.enqueue(.random(distribution, RandomKey(2026)), [], [out])
      return try download(out, from: device)
    }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    let root = Double(count).squareRoot()

    let uniform = try draw(.uniform(low: -1, high: 3))
    #expect(uniform.allSatisfy { $0 >= -1 && $0 < 3 })
    let deviation = 4 / 12.0.squareRoot()
    #expect(abs(mean(uniform) - 1) < 5 * deviation / root)
    #expect(abs(mean(uniform.map { ($0 - 1) * ($0 - 1) }) - 16 / 12) < 5 * 1.2 / root)

    let normal = try draw(.normal(mean: 2, standardDeviation: 0.5)).map { ($0 - 2) / 0.5 }
    #expect(abs(mean(normal)) < 5 / root)
    #expect(abs(mean(normal.map { $0 * $0 }) - 1) < 5 * 2.0.squareRoot() / root)
    #expect(abs(mean(normal.map { $0 * $0 * $0 })) < 5 * 15.0.squareRoot() / root)
    #expect(abs(mean(normal.map { pow($0, 4) }) - 3) < 5 * 96.0.squareRoot() / root)
    // Neighbours are independent.
    #expect(abs(mean(zip(normal, normal.dropFirst()).map { $0 * $1 })) < 5 / root)

    let bernoulli = try draw(.bernoulli(probability: 0.3))
    #expect(bernoulli.allSatisfy { $0 == 0 || $0 == 1 })
    #expect(abs(mean(bernoulli) - 0.3) < 5 * 0.21.squareRoot() / root)
  }

  @Test func keysAreIndependentAndRepeatable() {
    let key = RandomKey(42)
    #expect(key.folded(3) == RandomKey(42).folded(3))
    let derived = key.split(1000) + [key] + RandomKey(43).split(1000)
    #expect(Set(derived).count == derived.count)
    #expect(key.split(3).map(\.value) == (0..<3).map { key.folded($0).value })
    #expect(key.split(0) == [])
    #expect(key.split(-1) == [])
  }
}

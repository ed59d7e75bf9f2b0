import ApusDevice

/// Sound of one channel.
public struct AudioClip: Sendable, Hashable {
  /// Nominally within -1...1.
  public let samples: [Float]
  /// Samples per second.
  public let sampleRate: Int

  /// - Throws: ``ApusError`` for a rate outside `1...AudioClip.rateLimit`.
  public init(samples: [Float], sampleRate: Int) throws {
    guard (1...Self.rateLimit).contains(sampleRate) else {
      throw ApusError(
        .value, operation: "AudioClip",
        "\(sampleRate) samples per second are not within 1...\(Self.rateLimit)")
    }
    self.samples = samples
    self.sampleRate = sampleRate
  }

  /// Above what any recording has.
  public static let rateLimit = 1 << 24

  /// Exactly `count` samples around the middle: the rest is cut off or, where there are fewer, silence.
  public func fitted(to count: Int) -> [Float] {
    let count = max(count, 0)
    guard samples.count < count else {
      let start = (samples.count - count) / 2
      return Array(samples[start..<start + count])
    }
    let before = (count - samples.count) / 2
    return [Float](repeating: 0, count: before) + samples
      + [Float](repeating: 0, count: count - samples.count - before)
  }
}

import ApusDevice
import Foundation

/// Changes the sample rate by band-limited interpolation: a sinc in a Hann window, six zero crossings
/// wide and rolled off at 0.99 of the lower half-rate; formula and defaults of
/// `torchaudio.functional.resample` (`sinc_interp_hann`; J. O. Smith, "Digital Audio Resampling").
public struct AudioResampler: Sendable {
  /// Both rates without common factors.
  private let old: Int
  private let new: Int
  /// `[new]` filters for the places an output can have between inputs; nil where these are many, so that
  /// they are made when they are needed.
  private let filters: [Filter]?

  private struct Filter {
    /// Of the first weight, from the input at or before the output.
    let offset: Int
    let weights: [Float]
  }

  private static let (crossings, rolloff) = (6.0, 0.99)
  private static let largestRatio = 1 << 12

  /// - Throws: ``ApusError`` for rates outside `1...AudioClip.rateLimit`, and where one is more than
  ///   4096 times the other.
  public init(from sampleRate: Int, to other: Int) throws {
    for rate in [sampleRate, other] where !(1...AudioClip.rateLimit).contains(rate) {
      throw ApusError(
        .value, operation: "AudioResampler",
        "\(rate) samples per second are not within 1...\(AudioClip.rateLimit)")
    }
    var (a, b) = (sampleRate, other)
    while b != 0 { (a, b) = (b, a % b) }
    old = sampleRate / a
    new = other / a
    guard old / new <= Self.largestRatio, new / old <= Self.largestRatio else {
      throw ApusError(
        .value, operation: "AudioResampler",
        "\(sampleRate) and \(other) samples per second are too far apart to be converted")
    }
    let size = new * max(1, old / new) * 16
    filters = size <= 1 << 20 ? (0..<new).map { [old, new] in Self.filter($0, old, new) } : nil
  }

  /// The weights for an output at `phase / new` of the way between two inputs `old` apart.
  private static func filter(_ phase: Int, _ old: Int, _ new: Int) -> Filter {
    let cutoff = Double(min(old, new)) * rolloff
    let reach = Int((crossings * Double(old) / cutoff).rounded(.up))
    let position = Double(phase) / Double(new)
    // The output lies at `position · old` inputs; weights beyond six crossings are 0.
    let centre = position * Double(old)
    let first = Int((centre - Double(reach)).rounded(.up))
    let last = Int((centre + Double(reach)).rounded(.down))
    let weights = (first...max(first, last)).map { index in
      let time = min(
        max((Double(index) / Double(old) - position) * cutoff, -crossings), crossings)
      let window = cos(time * .pi / crossings / 2)
      let angle = time * .pi
      return Float((angle == 0 ? 1 : sin(angle) / angle) * window * window * cutoff / Double(old))
    }
    return Filter(offset: first, weights: weights)
  }

  /// The samples at the other rate, `⌈count · new / old⌉` of them.
  /// - Throws: ``ApusError`` where they would be too many.
  public func callAsFunction(_ samples: [Float]) throws -> [Float] {
    guard old != new else { return samples }
    let (product, overflow) = samples.count.multipliedReportingOverflow(by: new)
    let count = overflow ? Int.max : (product / old) + (product % old == 0 ? 0 : 1)
    guard count <= 1 << 28 else {
      throw ApusError(
        .value, operation: "AudioResampler",
        "\(samples.count) samples would become \(count), which is too many")
    }
    return (0..<count).map { index in
      let (block, phase) = index.quotientAndRemainder(dividingBy: new)
      let filter = filters?[phase] ?? Self.filter(phase, old, new)
      let start = block * old + filter.offset
      // Beyond both ends there is silence.
      let first = max(0, -start)
      let end = max(first, min(filter.weights.count, samples.count - start))
      return (first..<end).reduce(Float(0)) { $0 + filter.weights[$1] * samples[start + $1] }
    }
  }
}

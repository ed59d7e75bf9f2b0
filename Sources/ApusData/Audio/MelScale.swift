import Foundation

/// Pitch as it is heard, in mel.
public enum MelScale: String, Codable, Sendable, Hashable, CaseIterable {
  /// `2595 · log10(1 + f / 700)`.
  case htk
  /// Linear to 1000 Hz, logarithmic beyond (Slaney's Auditory Toolbox).
  case slaney

  private static let slope = 200.0 / 3
  private static let step = log(6.4) / 27

  func mel(ofFrequency f: Double) -> Double {
    switch self {
    case .htk: 2595 * log10(1 + f / 700)
    case .slaney: f < 1000 ? f / Self.slope : 15 + log(f / 1000) / Self.step
    }
  }

  func frequency(ofMel m: Double) -> Double {
    switch self {
    case .htk: 700 * (pow(10, m / 2595) - 1)
    case .slaney: m < 15 ? m * Self.slope : 1000 * exp((m - 15) * Self.step)
    }
  }

  /// Triangles over the bins of a spectrum, each from the middle of the one before to that of the one
  /// after; `[count]` of their first bin and weights. Formula of `torchaudio.functional.melscale_fbanks`.
  /// - Parameters:
  ///   - bins: Of the spectrum, from 0 to half the sample rate.
  ///   - isNormalized: Whether triangles are divided by half their width in hertz (`norm="slaney"`).
  func triangles(
    _ count: Int, bins: Int, sampleRate: Int, from low: Double, to high: Double, isNormalized: Bool
  ) -> [(first: Int, weights: [Double])] {
    let (bottom, top) = (mel(ofFrequency: low), mel(ofFrequency: high))
    let corners = (0..<count + 2).map {
      frequency(ofMel: bottom + (top - bottom) * Double($0) / Double(count + 1))
    }
    let width = Double(sampleRate / 2) / Double(max(bins - 1, 1))
    return (0..<count).map { band in
      let (left, middle, right) = (corners[band], corners[band + 1], corners[band + 2])
      let scale = isNormalized ? 2 / (right - left) : 1
      let weights = (0..<bins).map { bin in
        let f = Double(bin) * width
        return max(0, min((f - left) / (middle - left), (right - f) / (right - middle))) * scale
      }
      let first = weights.firstIndex { $0 > 0 } ?? 0
      let last = weights.lastIndex { $0 > 0 } ?? 0
      return (first, Array(weights[first...max(first, last)]))
    }
  }
}

import ApusDevice
import Foundation

/// How a recording becomes numbers: the spectrum of short windows in bands of equal pitch, in decibels,
/// or its cepstrum. Names, formulas and defaults are those of torchaudio's `MelSpectrogram`,
/// `AmplitudeToDB` and `MFCC`, but for what suits speech at the rates of telephones.
public struct AudioFeatures: Codable, Sendable, Hashable {
  public enum Kind: String, Codable, Sendable, Hashable, CaseIterable {
    /// `10 · log10(power)` of each band.
    case logMel = "log-mel"
    /// The cosine transform of that.
    case mfcc
  }

  public var kind = Kind.logMel
  /// To which recordings are brought.
  public var sampleRate = 8000
  /// Of a recording in all, in samples: shorter ones are filled up with silence, longer ones cut.
  public var sampleCount = 8000
  /// Bins of a spectrum, twice.
  public var fftSize = 256
  /// Samples in the (Hann) window; at most `fftSize`.
  public var windowLength = 256
  /// Samples from one window to the next.
  public var hopLength = 80
  /// To what magnitudes are raised: 2 for power.
  public var power = 2.0
  public var melCount = 40
  public var lowFrequency = 0.0
  /// Half the sample rate for nil.
  public var highFrequency: Double?
  public var melScale = MelScale.htk
  /// Whether bands are divided by half their width (`norm="slaney"`).
  public var isMelNormalized = false
  /// How far below the loudest place of a recording values are cut; not at all for nil.
  public var topDecibels: Double? = 80
  /// Of `mfcc`; at most `melCount`.
  public var coefficientCount = 20

  /// The most samples of a recording.
  public static let sampleLimit = 1 << 28

  public init() {}

  /// Those for a sample rate: windows of 32 ms every 10 ms, over a time in seconds.
  public init(sampleRate: Int, seconds: Double, kind: Kind = .logMel) {
    self.kind = kind
    self.sampleRate = sampleRate
    func samples(_ time: Double) -> Int {
      Int(min(max((time * Double(sampleRate)).rounded(), 1), 0x1p32))
    }
    sampleCount = seconds.isFinite ? samples(seconds) : 1
    windowLength = samples(0.032)
    fftSize = windowLength + windowLength % 2
    hopLength = samples(0.01)
  }

  public var bandCount: Int { kind == .mfcc ? coefficientCount : melCount }
  /// A window is centred on every place that it comes to.
  public var frameCount: Int { 1 + sampleCount / max(hopLength, 1) }
  /// As of an image: `[1, bands, frames]`.
  public var shape: [Int] { [1, bandCount, frameCount] }

  /// - Throws: ``ApusError`` naming the setting that is out of range.
  public func validate() throws {
    func require(_ isFine: Bool, _ rule: String) throws {
      if !isFine { throw ApusError(.value, operation: "AudioFeatures", rule) }
    }
    let nyquist = Double(sampleRate) / 2
    try require(
      (1...AudioClip.rateLimit).contains(sampleRate),
      "the sample rate is \(sampleRate); it must be within 1...\(AudioClip.rateLimit)")
    try require(
      (2...1 << 20).contains(fftSize) && fftSize % 2 == 0
        && (1...fftSize).contains(windowLength),
      "a window of \(windowLength) samples and a spectrum of \(fftSize) do not fit; the window is at "
        + "most as long, and the spectrum even and within 2...\(1 << 20)")
    try require(
      sampleCount <= Self.sampleLimit,
      "more than \(Self.sampleLimit) samples of a recording are too long; hear less of it")
    try require(
      sampleCount > fftSize / 2,
      "a recording of \(sampleCount) samples is too short for windows of \(fftSize)")
    try require(
      (1...sampleCount).contains(hopLength), "the step of \(hopLength) samples must be positive")
    try require(power > 0 && power.isFinite, "the power is \(power); it must be positive")
    try require(
      (1...1 << 12).contains(melCount)
        && (kind != .mfcc || (1...melCount).contains(coefficientCount)),
      "\(melCount) bands and \(coefficientCount) coefficients must be positive; there are no more "
        + "coefficients than bands")
    try require(
      bandCount * frameCount <= 1 << 26,
      "\(bandCount) bands of \(frameCount) windows are too many; hear less of a recording")
    try require(
      lowFrequency >= 0 && lowFrequency < (highFrequency ?? nyquist)
        && (highFrequency ?? nyquist) <= nyquist,
      "frequencies \(lowFrequency)...\(highFrequency ?? nyquist) do not lie within 0...\(nyquist)")
    try require(
      topDecibels.map { $0 >= 0 && $0.isFinite } ?? true, "decibels must not be negative")
  }
}

/// Computes ``AudioFeatures``; made once for many recordings.
public struct AudioFeatureExtractor: Sendable {
  public let settings: AudioFeatures
  private let fourier: FourierTransform
  /// `[fftSize]`: the window with zeros on both sides.
  private let window: [Double]
  private let triangles: [(first: Int, weights: [Double])]
  /// `[coefficients, bands]`; empty for other features.
  private let cosines: [[Double]]

  /// - Throws: ``ApusError`` as ``AudioFeatures/validate()``.
  public init(_ settings: AudioFeatures) throws {
    try settings.validate()
    self.settings = settings
    fourier = FourierTransform(size: settings.fftSize)
    let length = settings.windowLength
    let before = (settings.fftSize - length) / 2
    var window = [Double](repeating: 0, count: settings.fftSize)
    for index in 0..<length {
      window[before + index] = 0.5 - 0.5 * cos(2 * .pi * Double(index) / Double(length))
    }
    self.window = window
    triangles = settings.melScale.triangles(
      settings.melCount, bins: settings.fftSize / 2 + 1, sampleRate: settings.sampleRate,
      from: settings.lowFrequency,
      to: settings.highFrequency ?? Double(settings.sampleRate / 2),
      isNormalized: settings.isMelNormalized)
    cosines = settings.kind == .mfcc ? Self.cosines(settings) : []
  }

  /// The orthonormal cosine transform of type II, `[coefficients, bands]`.
  private static func cosines(_ settings: AudioFeatures) -> [[Double]] {
    let bands = Double(settings.melCount)
    return (0..<settings.coefficientCount).map { k in
      let scale = ((k == 0 ? 1 : 2) / bands).squareRoot()
      return (0..<settings.melCount).map { n in
        let angle = Double.pi / bands * (Double(n) + 0.5) * Double(k)
        return cos(angle) * scale
      }
    }
  }

  /// `[bands, frames]` of a recording, brought to the sample rate and length of the settings.
  public func callAsFunction(_ clip: AudioClip) throws -> [Float] {
    let resampler = try AudioResampler(from: clip.sampleRate, to: settings.sampleRate)
    let resampled = try AudioClip(
      samples: try resampler(clip.samples), sampleRate: settings.sampleRate)
    return try features(of: resampled.fitted(to: settings.sampleCount))
  }

  /// `[bands, frames]` of samples that are ready.
  /// - Throws: ``ApusError`` where they are not as many as the settings say.
  func features(of samples: [Float]) throws -> [Float] {
    guard samples.count == settings.sampleCount else {
      throw ApusError(
        .shape, operation: "AudioFeatures",
        "\(samples.count) samples, where \(settings.sampleCount) are needed")
    }
    let frames = settings.frameCount
    var mel = [Double](repeating: 0, count: settings.melCount * frames)
    for frame in 0..<frames {
      let spectrum = magnitudes(samples, frame)
      for (band, triangle) in triangles.enumerated() {
        var sum = 0.0
        for (offset, weight) in triangle.weights.enumerated() {
          sum += weight * spectrum[triangle.first + offset]
        }
        mel[band * frames + frame] = sum
      }
    }
    var loudest = -Double.infinity
    for index in mel.indices {
      mel[index] = 10 * log10(max(mel[index], 1e-10))
      loudest = max(loudest, mel[index])
    }
    if let range = settings.topDecibels {
      for index in mel.indices { mel[index] = max(mel[index], loudest - range) }
    }
    guard settings.kind == .mfcc else { return mel.map { Float($0) } }
    return cosines.flatMap { row in
      (0..<frames).map { frame in
        var sum = 0.0
        for (band, weight) in row.enumerated() { sum += weight * mel[band * frames + frame] }
        return Float(sum)
      }
    }
  }

  /// The spectrum around a place: `[fftSize / 2 + 1]` magnitudes, raised to the power. Beyond both ends
  /// the samples are mirrored.
  private func magnitudes(_ samples: [Float], _ frame: Int) -> [Double] {
    let size = settings.fftSize
    let start = frame * settings.hopLength - size / 2
    var re = (0..<size).map { index in
      var place = start + index
      if place < 0 { place = -place }
      if place >= samples.count { place = 2 * (samples.count - 1) - place }
      return Double(samples[place]) * window[index]
    }
    var im = [Double](repeating: 0, count: size)
    fourier(&re, &im)
    return (0...size / 2).map { bin in
      let square = re[bin] * re[bin] + im[bin] * im[bin]
      return settings.power == 2 ? square : pow(square, settings.power / 2)
    }
  }
}

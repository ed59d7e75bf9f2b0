import ApusDevice

/// What a user may choose of how recordings are read and parted.
public struct AudioOptions: Sendable, Hashable {
  public var kind = AudioFeatures.Kind.logMel
  /// That of the first recording for nil.
  public var sampleRate: Int?
  /// Longer recordings are cut, shorter ones filled up with silence.
  public var seconds = 1.0
  public var melCount = 40
  /// Of `mfcc`, at most `melCount`; 20, or as many as there are bands, for nil.
  public var coefficientCount: Int?
  /// Where recordings name their speakers: the one whose recordings are the test part.
  public var testSpeaker: String?
  /// All settings, as a model was trained with; go before the others.
  public var features: AudioFeatures?

  public init() {}

  func settings(sampleRate found: Int) throws -> AudioFeatures {
    if let features { return features }
    guard seconds > 0, seconds.isFinite else {
      throw ApusError(
        .value, operation: "AudioOptions",
        "\(seconds) s of a recording cannot be heard; the time must be positive and finite")
    }
    var settings = AudioFeatures(sampleRate: sampleRate ?? found, seconds: seconds, kind: kind)
    settings.melCount = melCount
    settings.coefficientCount = coefficientCount ?? min(settings.coefficientCount, melCount)
    try settings.validate()
    return settings
  }
}

import ApusDevice

/// Reads recordings and computes their features, on all cores, in order.
package final class AudioReader {
  private let extractor: AudioFeatureExtractor
  /// Recordings so far that were longer than what is looked at.
  private(set) var cutCount = 0

  package init(_ extractor: AudioFeatureExtractor) { self.extractor = extractor }

  /// `[files, bands, frames]`.
  /// - Throws: ``ApusError`` naming the file that cannot be read, or holds no samples.
  package func features(of files: [String]) throws -> [Float] {
    var all: [Float] = []
    let settings = extractor.settings
    all.reserveCapacity(files.count * settings.bandCount * settings.frameCount)
    try Prefetcher<(features: [Float], isCut: Bool)>.each(
      of: files.count,
      make: { [extractor] index in
        let clip = try WAV.read(files[index])
        guard !clip.samples.isEmpty else {
          throw ApusError(.data, operation: files[index], "is a recording without samples")
        }
        let length = Double(clip.samples.count) / Double(clip.sampleRate)
        return (
          try extractor(clip),
          length > Double(settings.sampleCount) / Double(settings.sampleRate)
        )
      },
      take: {
        all += $0.features
        cutCount += $0.isCut ? 1 : 0
      })
    return all
  }
}

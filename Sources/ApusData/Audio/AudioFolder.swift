import ApusDevice
import Foundation

/// WAV recordings in a folder: in one folder per class (`CLASS/*.wav`, or `train/CLASS/*.wav` with `val`
/// or `test` beside), or named `{class}_{speaker}_{index}.wav`, as the free spoken digits are.
///
/// Recordings become features (``AudioFeatures``) at once, on all cores. Of named recordings, those of
/// index 0 to 4 are the test part, as is customary for the free spoken digits, or those of a speaker of
/// the user's choice.
package struct AudioFolder {
  private struct Recording {
    let path: String
    let className: String
    var speaker: String?
    var index: Int?
  }

  private let path: String
  private let train: [Recording]
  private let validation: [Recording]?
  private let test: [Recording]?

  /// nil where the folder holds no recordings.
  package init?(path: String) throws {
    self.path = path
    let root = ["train", "training"].map { path + "/" + $0 }.first { FileContents.isFolder($0) }
    if let root {
      train = try Self.byClass(root)
      guard !train.isEmpty else { return nil }
      func held(_ folders: [String]) throws -> [Recording]? {
        try folders.map { path + "/" + $0 }.first { FileContents.isFolder($0) }.map(Self.byClass)
      }
      let (validation, test) = (try held(["val", "valid", "validation"]), try held(["test"]))
      // A single held-out part is the final test.
      (self.validation, self.test) = test == nil ? (nil, validation) : (validation, test)
      return
    }
    (validation, test) = (nil, nil)
    let flat = try Self.recordings(in: path)
    guard flat.isEmpty else {
      train = try flat.map(Self.named)
      return
    }
    let classes = try Self.byClass(path)
    // The archive of the free spoken digits keeps its recordings in a folder of this name.
    train =
      Set(classes.map(\.className)) == ["recordings"]
      ? try classes.map { try Self.named($0.path) } : classes
    guard !train.isEmpty else { return nil }
  }

  package func load(name: String, _ options: DataOptions) throws -> LoadedData {
    let parts = try parted(options)
    let classNames = Self.sorted(Set(train.map(\.className)))
    for recording in (parts.validation ?? []) + (parts.test ?? [])
    where !classNames.contains(recording.className) {
      throw ApusError(
        .data, operation: recording.path,
        "is of class '\(recording.className)', which the training part does not have; it has "
          + classNames.prefix(12).joined(separator: ", "))
    }
    guard let first = parts.train.first else {
      throw ApusError(.data, operation: path, "no recordings are left for training")
    }
    let settings = try options.audio.settings(sampleRate: try WAV.read(first.path).sampleRate)
    let extractor = try AudioFeatureExtractor(settings)
    let reader = AudioReader(extractor)
    func dataset(_ part: [Recording]) throws -> Dataset {
      let places = Dictionary(uniqueKeysWithValues: zip(classNames, classNames.indices))
      return try Dataset(
        name: name, features: try reader.features(of: part.map(\.path)),
        featureShape: settings.shape,
        labels: part.map { Int32(truncatingIfNeeded: places[$0.className] ?? 0) },
        classNames: classNames)
    }
    let all = try dataset(parts.train)
    let (validation, test) = (try parts.validation.map(dataset), try parts.test.map(dataset))
    var notes = parts.note.map { [$0] } ?? []
    if reader.cutCount > 0 {
      notes.append(
        "\(reader.cutCount) recordings are longer than \(options.audio.seconds) s and are cut "
          + "(--seconds chooses)")
    }
    guard test == nil, options.testFraction > 0 else {
      return LoadedData(
        train: all, test: test, validation: validation, defaultPreprocessing: .standardizeChannels,
        audio: settings, notes: notes)
    }
    let split = try DataSource.parts(all, .standardizeChannels, options)
    return LoadedData(
      train: split.train, test: split.test, defaultPreprocessing: .standardizeChannels,
      audio: settings, notes: notes)
  }

  private func parted(
    _ options: DataOptions
  ) throws -> (train: [Recording], validation: [Recording]?, test: [Recording]?, note: String?) {
    let speakers = Set(train.compactMap(\.speaker)).sorted()
    if let speaker = options.audio.testSpeaker {
      guard speakers.contains(speaker) else {
        throw ApusError(
          .value, operation: path,
          "there are no recordings of '\(speaker)'; "
            + (speakers.isEmpty
              ? "the names of the files give no speakers (CLASS_SPEAKER_INDEX.wav)"
              : "the speakers are \(speakers.joined(separator: ", "))"))
      }
      return (
        train.filter { $0.speaker != speaker }, nil, train.filter { $0.speaker == speaker },
        "the test part is all of speaker \(speaker)"
      )
    }
    // The set's own parts, where there are both.
    let isHeld = { (recording: Recording) in recording.index.map { $0 < 5 } ?? false }
    guard test == nil, train.contains(where: isHeld), !train.allSatisfy(isHeld) else {
      return (train, validation, test, nil)
    }
    return (
      train.filter { !isHeld($0) }, nil, train.filter(isHeld),
      "the test part is index 0 to 4 of every class and speaker"
    )
  }

  /// Numbers by value, then other names.
  private static func sorted(_ names: Set<String>) -> [String] {
    names.allSatisfy { Int($0) != nil }
      ? names.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) } : names.sorted()
  }

  /// A recording that tells class, speaker and index by its name.
  private static func named(_ path: String) throws -> Recording {
    let name = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    let parts = name.split(separator: "_", omittingEmptySubsequences: false).map { String($0) }
    guard parts.count >= 3, !parts[0].isEmpty, let index = Int(parts[parts.count - 1]) else {
      throw ApusError(
        .data, operation: path,
        "does not name its class; recordings lie in a folder per class (CLASS/*.wav), or are named "
          + "CLASS_SPEAKER_INDEX.wav")
    }
    return Recording(
      path: path, className: parts[0], speaker: parts[1..<parts.count - 1].joined(separator: "_"),
      index: index)
  }

  private static func byClass(_ path: String) throws -> [Recording] {
    try entries(path).filter { FileContents.isFolder("\(path)/\($0)") }.flatMap { name in
      try recordings(in: "\(path)/\(name)").map { Recording(path: $0, className: name) }
    }
  }

  /// The WAV files of a folder, in the order of their names.
  package static func recordings(in path: String) throws -> [String] {
    try entries(path).filter { $0.lowercased().hasSuffix(".wav") }.map { "\(path)/\($0)" }
      .filter { !FileContents.isFolder($0) }
  }

  private static func entries(_ path: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { !$0.hasPrefix(".") }.sorted()
    } catch {
      throw ApusError(.file, operation: path, "cannot be listed: \(error.fileReason)")
    }
  }
}

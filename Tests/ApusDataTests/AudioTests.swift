import ApusData
import ApusDevice
import Foundation
import Testing

/// What `Golden/make_audio.py` wrote: files of Python's `wave` and of the RIFF specification, and what
/// torchaudio makes of a signal, in float64.
struct AudioGolden: Decodable {
  struct File: Decodable {
    let name, hex: String
    let rate: Int
    let samples: [Float]
  }
  struct Resampled: Decodable {
    let from, to, count: Int
    let samples: [Float]
  }
  struct Features: Decodable {
    let settings: AudioFeatures
    let values: [Float]
  }

  let files: [File]
  let signal: [Float]
  let resampled: [Resampled]
  let features: [Features]

  static func read() throws -> AudioGolden {
    try JSONDecoder().decode(
      AudioGolden.self, from: Data(contentsOf: URL(fileURLWithPath: Golden.path("audio.json"))))
  }
}

extension AudioGolden.File {
  var bytes: [UInt8] {
    let digits = Array(hex)
    return stride(from: 0, to: digits.count, by: 2).compactMap {
      UInt8(String(digits[$0...$0 + 1]), radix: 16)
    }
  }
}

@Suite struct AudioTests {
  @Test func readsWhatOthersWrite() throws {
    for file in try AudioGolden.read().files {
      let clip = try WAV.decode(file.bytes, name: file.name)
      #expect(clip.sampleRate == file.rate, "\(file.name)")
      // Both are exact but for the rounding of the mean over channels to 32 bits.
      #expect(clip.samples.count == file.samples.count, "\(file.name)")
      for (a, b) in zip(clip.samples, file.samples) { #expect(abs(a - b) < 1e-7, "\(file.name)") }
    }
  }

  @Test func roundTrip() throws {
    let clip = try AudioClip(samples: [0, 0.5, -1, 0.25, 7, .nan], sampleRate: 12345)
    let back = try WAV.decode(WAV.encode(clip), name: "x")
    #expect(back.sampleRate == 12345 && back.samples == [0, 0.5, -1, 0.25, 32767 / 32768, 0])
    #expect(
      try WAV.decode(WAV.encode(AudioClip(samples: [], sampleRate: 8)), name: "x").samples == [])
    #expect(throws: ApusError.self) { try AudioClip(samples: [], sampleRate: 0) }
  }

  @Test func damageIsNamed() throws {
    let good = try WAV.encode(AudioClip(samples: [0.5, -0.5, 0.25], sampleRate: 8000))
    func refused(_ fragment: String, _ change: (inout [UInt8]) -> Void) {
      var bytes = good
      change(&bytes)
      expectError("x.wav", fragment) { try WAV.decode(bytes, name: "x.wav") }
    }
    refused("no WAV file") { $0[0] = 0 }
    refused("no WAV file") { $0 = Array($0.prefix(11)) }
    refused("claims 6 bytes, 2 are left") { $0.removeLast(4) }
    refused("claims 4294967295 bytes") { for place in 40..<44 { $0[place] = 0xFF } }
    refused("no samples ('data')") { $0 = Array($0.prefix(36)) }
    refused("no format ('fmt ')") { $0 = Array($0.prefix(12)) }
    refused("samples come before their format") {
      $0[12] = 0x66; $0[13] = 0x6E
    }
    refused("MP3") { $0[20] = 85 }
    refused("format 4660") { ($0[20], $0[21]) = (0x34, 0x12) }
    refused("48 bits") { $0[34] = 48 }
    refused("0 channels") { $0[22] = 0 }
    refused("of 0 samples per second") { for place in 24..<28 { $0[place] = 0 } }
    refused("take 2 bytes, it claims 3") { $0[32] = 3 }
    refused("no whole number") { $0[40] = 5 }
    refused("truncated") { $0[16] = 10 }
    var floats = good
    (floats[20], floats[34], floats[32]) = (3, 32, 4)
    floats[40] = 4
    floats.replaceSubrange(44..<50, with: [0, 0, 0xC0, 0x7F, 0, 0])
    expectError("sample 0 is nan") { try WAV.decode(floats, name: "x.wav") }
  }

  /// Sizes that a recorder could not fill in.
  @Test(arguments: [UInt8(0), 0xFF], [UInt8(0), 0xFF])
  func openEndsAreRead(file: UInt8, data: UInt8) throws {
    let clip = try AudioClip(samples: [0.5, -0.5, 0.25], sampleRate: 8000)
    var bytes = try WAV.encode(clip)
    bytes.replaceSubrange(4..<8, with: [file, file, file, file])
    bytes.replaceSubrange(40..<44, with: [data, data, data, data])
    #expect(try WAV.decode(bytes, name: "x").samples == clip.samples)
    // Half a frame at the end is left out.
    #expect(try WAV.decode(bytes + [7], name: "x").samples == clip.samples)
    #expect(try WAV.decode(Array(bytes.prefix(44)), name: "x").samples == [])
  }

  @Test func recordingsWithoutSamplesAreRefused() throws {
    let scratch = try Scratch()
    let tone = try WAV.encode(AudioClip(samples: [0.5, 0.25, -0.5], sampleRate: 8000))
    for name in ["no/a.wav", "no/b.wav", "yes/a.wav"] { try scratch.write(tone, name) }
    try scratch.write(try WAV.encode(AudioClip(samples: [], sampleRate: 8000)), "yes/zero.wav")
    expectError("yes/zero.wav", "without samples") { try DataSource.load(scratch.path) }
  }

  @Test func resamplesAsTorchaudio() throws {
    let golden = try AudioGolden.read()
    for expected in golden.resampled {
      let resampler = try AudioResampler(from: expected.from, to: expected.to)
      let found = try resampler(Array(golden.signal.prefix(expected.count)))
      #expect(found.count == expected.samples.count, "\(expected.from) to \(expected.to)")
      // Torchaudio holds the phases in 32 bits: 6e-8 of up to 7 crossings of slope π, and sums of 70
      // products rounded to 32 bits.
      for (a, b) in zip(found, expected.samples) {
        #expect(abs(a - b) < 5e-6, "\(expected.from) to \(expected.to)")
      }
    }
    #expect(try AudioResampler(from: 8000, to: 16000)([]) == [])
    #expect(throws: ApusError.self) { try AudioResampler(from: 0, to: 8000) }
    #expect(throws: ApusError.self) { try AudioResampler(from: 1 << 24, to: 1) }
  }

  @Test func featuresAsTorchaudio() throws {
    let golden = try AudioGolden.read()
    for expected in golden.features {
      let settings = expected.settings
      let extractor = try AudioFeatureExtractor(settings)
      let found = try extractor(
        AudioClip(samples: golden.signal, sampleRate: settings.sampleRate))
      #expect(found.count == settings.bandCount * settings.frameCount)
      #expect(found.count == expected.values.count)
      // Decibels of sums in Double; the file keeps seven digits of values up to a few hundred.
      for (a, b) in zip(found, expected.values) { #expect(abs(a - b) < 2e-4, "\(settings)") }
    }
  }

  @Test func lengthsAreMade() throws {
    let clip = try AudioClip(samples: [1, 2, 3], sampleRate: 8)
    #expect(clip.fitted(to: 6) == [0, 1, 2, 3, 0, 0] && clip.fitted(to: 1) == [2])
    #expect(clip.fitted(to: 3) == clip.samples && clip.fitted(to: 0) == [])
  }

  @Test func settingsOutOfRange() {
    func refused(_ change: (inout AudioFeatures) -> Void) {
      var settings = AudioFeatures()
      change(&settings)
      #expect(throws: ApusError.self) { try AudioFeatureExtractor(settings) }
    }
    refused { $0.sampleRate = 0 }
    refused { $0.fftSize = 255 }
    refused { $0.windowLength = 257 }
    refused { $0.sampleCount = 128 }
    refused { $0.hopLength = 0 }
    refused { $0.melCount = 0 }
    refused { ($0.kind, $0.coefficientCount) = (.mfcc, 41) }
    refused { $0.highFrequency = 4001 }
    refused { $0.lowFrequency = 4000 }
    refused { $0.power = .nan }
    refused { $0.topDecibels = -1 }
  }

  // MARK: Folders

  /// Ten recordings of two speakers and two classes, told apart by their pitch.
  private func digits(_ scratch: Scratch, under folder: String = "") throws {
    for digit in 0..<2 {
      for speaker in ["ann", "bob"] {
        for index in 0..<7 {
          let samples = (0..<900).map { sin(Float($0) * (0.2 + 0.9 * Float(digit))) / 2 }
          try scratch.write(
            WAV.encode(AudioClip(samples: samples, sampleRate: 8000)),
            "\(folder)\(digit)_\(speaker)_\(index).wav")
        }
      }
    }
  }

  @Test(arguments: ["", "recordings/"]) func namedRecordings(folder: String) throws {
    let scratch = try Scratch()
    try digits(scratch, under: folder)
    var options = DataOptions()
    options.audio.seconds = 0.1
    let data = try DataSource.load(scratch.path, options: options)
    #expect(data.train.count == 8 && data.test?.count == 20)
    #expect(data.train.classNames == ["0", "1"])
    #expect(data.audio?.shape == [1, 40, 11] && data.train.featureShape == [1, 40, 11])
    #expect(data.notes.contains { $0.contains("index 0 to 4") })
    #expect(data.notes.contains { $0.contains("28 recordings are longer") })
    // Two runs, and whatever threads do, give the same bits.
    #expect(
      try DataSource.load(scratch.path, options: options).train.fingerprint
        == data.train.fingerprint)

    options.audio.testSpeaker = "bob"
    let held = try DataSource.load(scratch.path, options: options)
    #expect(held.train.count == 14 && held.test?.count == 14)
    options.audio.testSpeaker = "eve"
    expectError("'eve'", "ann, bob") { try DataSource.load(scratch.path, options: options) }
    options.audio.testSpeaker = nil
    // The parts are the set's own.
    options.testFraction = 0
    #expect(try DataSource.load(scratch.path, options: options).test?.count == 20)
    options.audio.kind = .mfcc
    #expect(try DataSource.load(scratch.path, options: options).train.featureShape == [1, 20, 11])
  }

  @Test func foldersByClass() throws {
    let scratch = try Scratch()
    let tone = try WAV.encode(
      AudioClip(samples: [Float](repeating: 0.5, count: 16000), sampleRate: 16000))
    for name in ["no/a.wav", "no/b.wav", "yes/a.wav", "yes/c.WAV", "yes/note.txt"] {
      try scratch.write(tone, "train/" + name)
    }
    try scratch.write(tone, "test/yes/z.wav")
    let data = try DataSource.load(scratch.path)
    #expect(data.train.classNames == ["no", "yes"] && data.train.labels == [0, 0, 1, 1])
    #expect(data.test?.labels == [1] && data.audio?.sampleRate == 16000)
    #expect(data.train.featureShape == [1, 40, 101])
    try scratch.write(tone, "test/maybe/z.wav")
    expectError("maybe", "no, yes") { try DataSource.load(scratch.path) }
    try FileManager.default.removeItem(atPath: scratch.path + "/test")
    try scratch.write("RIFF", "train/no/c.wav")
    expectError("c.wav", "no WAV file") { try DataSource.load(scratch.path) }
  }

  @Test func namesThatTellNothing() throws {
    let scratch = try Scratch()
    try scratch.write(try WAV.encode(AudioClip(samples: [0], sampleRate: 8000)), "hello.wav")
    expectError("hello.wav", "CLASS_SPEAKER_INDEX") { try DataSource.load(scratch.path) }
  }
}

import ApusDevice

/// RIFF WAVE files: PCM of 8 to 32 bits and floating point of 32 or 64, also as `WAVE_FORMAT_EXTENSIBLE`,
/// of any number of channels, which are averaged. ("Multimedia Programming Interface and Data
/// Specifications 1.0", 1991, and Microsoft's `mmreg.h`.)
///
/// A recorder that is cut off, or writes to a pipe, cannot go back and fill in the sizes: both, of file and
/// samples, are 0 or 0xFFFFFFFF then. The samples are all whole frames up to the end of such a file.
public enum WAV {
  /// - Throws: ``ApusError`` `.file` naming the file and what is wrong with it.
  public static func read(_ path: String) throws -> AudioClip {
    try decode(try FileContents.read(path), name: path)
  }

  /// - Parameter name: The file's, for messages.
  /// - Throws: ``ApusError`` for what is no WAV file, is cut off or claims more than it holds.
  public static func decode(_ bytes: [UInt8], name: String) throws -> AudioClip {
    let reader = LittleEndianReader(bytes: bytes[...], name: name)
    func wrong(_ message: String) -> ApusError { ApusError(.file, operation: name, message) }
    guard bytes.count >= 12, bytes.starts(with: Array("RIFF".utf8)),
      bytes[8..<12].elementsEqual("WAVE".utf8)
    else { throw wrong("is no WAV file: it does not begin with RIFF and WAVE") }
    let isOpen = isUnknown(try reader.number(at: 4, width: 4))
    var format: Format?
    var position = 12
    while position < bytes.count {
      // A last byte may fill up an odd chunk, or be left over.
      guard bytes.count - position >= 8 else { break }
      let kind = bytes[position..<position + 4]
      let size = try reader.number(at: position + 4, width: 4)
      position += 8
      if isOpen, isUnknown(size), kind.elementsEqual("data".utf8), let format {
        let whole = (bytes.count - position) / format.frame * format.frame
        return try format.clip(bytes[position..<position + whole], name: name)
      }
      guard size <= bytes.count - position else {
        throw wrong(
          "is cut off or damaged: the chunk '\(text(kind))' claims \(size) bytes, "
            + "\(bytes.count - position) are left")
      }
      if kind.elementsEqual("fmt ".utf8) {
        format = try Format(
          LittleEndianReader(bytes: bytes[position..<position + size], name: name))
      } else if kind.elementsEqual("data".utf8) {
        guard let format else { throw wrong("its samples come before their format") }
        return try format.clip(bytes[position..<position + size], name: name)
      }
      // Chunks begin at even places.
      position += size + size % 2
    }
    throw wrong("holds no \(format == nil ? "format ('fmt ')" : "samples ('data')")")
  }

  /// 16-bit PCM of one channel; what is outside -1...1 is cut off.
  public static func encode(_ clip: AudioClip) throws -> [UInt8] {
    let size = clip.samples.count * 2
    guard size <= Int(UInt32.max) - 36 else {
      throw ApusError(.file, operation: "WAV", "a WAV file holds at most 4 GiB")
    }
    var bytes = Array("RIFF".utf8) + little(36 + size, 4) + Array("WAVEfmt ".utf8)
    bytes += little(16, 4) + little(1, 2) + little(1, 2) + little(clip.sampleRate, 4)
    bytes += little(clip.sampleRate * 2, 4) + little(2, 2) + little(16, 2)
    bytes += Array("data".utf8) + little(size, 4)
    bytes.reserveCapacity(bytes.count + size)
    for sample in clip.samples {
      let value = sample.isFinite ? min(max((sample * 32768).rounded(), -32768), 32767) : 0
      bytes += little(Int(value) & 0xFFFF, 2)
    }
    return bytes
  }

  /// Whether a size was never filled in.
  private static func isUnknown(_ size: Int) -> Bool { size == 0 || size == 0xFFFF_FFFF }

  private static func little(_ value: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func text(_ kind: ArraySlice<UInt8>) -> String {
    String(decoding: kind.map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  /// How samples are stored.
  private struct Format {
    let isFloat: Bool
    let channels: Int
    let sampleRate: Int
    /// Bytes of one sample.
    let width: Int
    /// Bytes of a sample of each channel.
    var frame: Int { channels * width }

    init(_ reader: LittleEndianReader) throws {
      func wrong(_ message: String) -> ApusError {
        ApusError(.file, operation: reader.name, message)
      }
      var tag = try reader.number(at: 0, width: 2)
      channels = try reader.number(at: 2, width: 2)
      sampleRate = try reader.number(at: 4, width: 4)
      let claimed = try reader.number(at: 12, width: 2)
      let bits = try reader.number(at: 14, width: 2)
      // The extensible format keeps the real one at the beginning of a longer identifier.
      if tag == 0xFFFE { tag = try reader.number(at: 24, width: 2) }
      guard tag == 1 || tag == 3 else {
        let names = [2: "ADPCM", 6: "A-law", 7: "µ-law", 17: "IMA ADPCM", 85: "MP3"]
        throw wrong(
          "is coded as \(names[tag] ?? "format \(tag)"); PCM and floating point can be read: convert "
            + "it, for example with `ffmpeg -i IN -c:a pcm_s16le OUT.wav`")
      }
      isFloat = tag == 3
      width = (bits + 7) / 8
      guard channels > 0, (1...AudioClip.rateLimit).contains(sampleRate) else {
        throw wrong("is damaged: \(channels) channels of \(sampleRate) samples per second")
      }
      guard isFloat ? bits == 32 || bits == 64 : (1...4).contains(width) else {
        throw wrong(
          "has \(bits) bits a sample; PCM of 8, 16, 24 or 32 and floating point of 32 or 64 can be "
            + "read")
      }
      guard claimed == frame else {
        throw wrong(
          "is damaged: \(channels) channels of \(bits) bits take \(frame) bytes, it claims "
            + "\(claimed)")
      }
    }

    /// The mean of the channels.
    func clip(_ data: ArraySlice<UInt8>, name: String) throws -> AudioClip {
      guard data.count % frame == 0 else {
        throw ApusError(
          .file, operation: name,
          "is cut off or damaged: \(data.count) bytes of samples are no whole number of "
            + "\(channels) × \(width) bytes")
      }
      var samples: [Float] = []
      samples.reserveCapacity(data.count / frame)
      for start in stride(from: data.startIndex, to: data.endIndex, by: frame) {
        var sum = 0.0
        for place in stride(from: start, to: start + frame, by: width) {
          sum += value(data, at: place)
        }
        let sample = Float(sum / Double(channels))
        guard sample.isFinite else {
          throw ApusError(
            .data, operation: name, "sample \(samples.count) is \(sum); samples must be finite")
        }
        samples.append(sample)
      }
      return try AudioClip(samples: samples, sampleRate: sampleRate)
    }

    /// One sample, from -1 to 1.
    private func value(_ data: ArraySlice<UInt8>, at place: Int) -> Double {
      var bits: UInt64 = 0
      for offset in 0..<width { bits |= UInt64(data[place + offset]) << UInt64(8 * offset) }
      if isFloat {
        return width == 4
          ? Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))) : Double(bitPattern: bits)
      }
      // Bytes have no sign; longer samples do.
      if width == 1 { return (Double(bits) - 128) / 128 }
      let unused = UInt64(64 - 8 * width)
      return Double(Int64(bitPattern: bits << unused) >> Int64(unused))
        / Double(1 << (8 * width - 1))
    }
  }
}

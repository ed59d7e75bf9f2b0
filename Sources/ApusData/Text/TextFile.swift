import ApusDevice

/// Text in files.
public enum TextFile {
  /// How bytes stand for characters.
  public enum Encoding: String, Sendable, Hashable, Codable, CaseIterable {
    case utf8 = "utf-8"
    /// ISO 8859-1: each byte is the character of that number.
    case latin1 = "latin-1"
  }

  /// Reads a file, packed (`.gz`) or not. A byte order mark at its beginning is left out.
  /// - Throws: ``ApusError`` where it cannot be read, and naming the byte where it stops being UTF-8.
  public static func read(_ path: String, encoding: Encoding = .utf8) throws -> String {
    try text(of: try FileContents.readUnpacked(path), encoding, name: path)
  }

  /// The text that bytes stand for.
  /// - Parameter name: What errors call them.
  package static func text(of bytes: [UInt8], _ encoding: Encoding, name: String) throws -> String {
    switch encoding {
    case .latin1:
      var scalars = String.UnicodeScalarView()
      scalars.append(contentsOf: bytes.lazy.map { Unicode.Scalar($0) })
      return String(scalars)
    case .utf8:
      let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
      if let text = String(validating: body, as: UTF8.self) { return text }
      let place = UTF8Scan.firstInvalid(in: body) ?? bytes.startIndex
      throw ApusError(
        .file, operation: name,
        "is not UTF-8: byte \(place) is \(hexadecimal(bytes[place])), which no character "
          + "begins or goes on with there; save it as UTF-8, or say --encoding latin-1")
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    "0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }
}

/// The structure of UTF-8 (RFC 3629).
enum UTF8Scan {
  /// What stands at a place.
  enum Unit {
    case scalar(Unicode.Scalar, length: Int)
    /// The bytes there begin a scalar, but the sequence ends before it does.
    case incomplete
    case invalid
  }

  static func unit(_ bytes: ArraySlice<UInt8>, at place: Int) -> Unit {
    let first = bytes[place]
    if first < 0x80 { return .scalar(Unicode.Scalar(first), length: 1) }
    let length: Int
    switch first {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF: length = 3
    case 0xF0...0xF4: length = 4
    default: return .invalid
    }
    var value = UInt32(first) & (0xFF >> UInt32(length + 1))
    for offset in 1..<length {
      guard place + offset < bytes.endIndex else { return .incomplete }
      let byte = bytes[place + offset]
      // Overlong forms, surrogates and what lies beyond Unicode show in the second byte.
      let allowed: ClosedRange<UInt8> =
        switch (offset, first) {
        case (1, 0xE0): 0xA0...0xBF
        case (1, 0xED): 0x80...0x9F
        case (1, 0xF0): 0x90...0xBF
        case (1, 0xF4): 0x80...0x8F
        default: 0x80...0xBF
        }
      guard allowed.contains(byte) else { return .invalid }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    guard let scalar = Unicode.Scalar(value) else { return .invalid }
    return .scalar(scalar, length: length)
  }

  /// The place of the first byte that is no UTF-8; nil where all are.
  static func firstInvalid(in bytes: ArraySlice<UInt8>) -> Int? {
    var place = bytes.startIndex
    while place < bytes.endIndex {
      guard case .scalar(_, let length) = unit(bytes, at: place) else { return place }
      place += length
    }
    return nil
  }

  /// Where a scalar begins that the end cuts off; the end where none is.
  static func completeEnd(of bytes: ArraySlice<UInt8>) -> Int {
    for place in bytes.indices.suffix(3) {
      if case .incomplete = unit(bytes, at: place) { return place }
    }
    return bytes.endIndex
  }
}

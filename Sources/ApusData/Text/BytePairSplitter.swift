/// Cuts bytes into the pieces within which byte pairs are merged, so that no token spans two words.
///
/// The rule is that of GPT-2 (Radford et al. 2019), applied to UTF-8:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. A byte that is no UTF-8
/// counts as a character that is neither letter nor digit nor space.
struct BytePairSplitter: Sequence, IteratorProtocol {
  private enum Kind { case letter, number, space, other }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  mutating func next() -> ArraySlice<UInt8>? {
    guard position < bytes.endIndex else { return nil }
    let start = position
    position = pieceEnd(from: start)
    return bytes[start..<position]
  }

  private func pieceEnd(from start: Int) -> Int {
    if bytes[start] == UInt8(ascii: "'"), let end = contractionEnd(start) { return end }
    var (kind, next) = character(at: start)
    if bytes[start] == UInt8(ascii: " "), next < bytes.endIndex {
      let (following, end) = character(at: next)
      if following != .space { (kind, next) = (following, end) }
    }
    var last = start
    while next < bytes.endIndex {
      let (following, end) = character(at: next)
      guard following == kind else {
        // White space before something else leaves its last character for that.
        return kind == .space && last > start ? last : next
      }
      last = next
      next = end
    }
    return next
  }

  private func contractionEnd(_ start: Int) -> Int? {
    let rest = bytes[(start + 1)...].prefix(2)
    if rest.elementsEqual("re".utf8) || rest.elementsEqual("ve".utf8)
      || rest.elementsEqual("ll".utf8)
    {
      return start + 3
    }
    guard let first = rest.first, "stmd".utf8.contains(first) else { return nil }
    return start + 2
  }

  /// The kind of the character at a place, and the place after it.
  private func character(at place: Int) -> (kind: Kind, end: Int) {
    switch bytes[place] {
    case 0x41...0x5A, 0x61...0x7A: return (.letter, place + 1)
    case 0x30...0x39: return (.number, place + 1)
    case 0x09...0x0D, 0x20: return (.space, place + 1)
    case 0..<0x80: return (.other, place + 1)
    default: break
    }
    guard case .scalar(let scalar, let length) = UTF8Scan.unit(bytes, at: place) else {
      return (.other, place + 1)
    }
    let properties = scalar.properties
    let kind: Kind
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      kind = .letter
    case .decimalNumber, .letterNumber, .otherNumber: kind = .number
    default: kind = properties.isWhitespace ? .space : .other
    }
    return (kind, place + length)
  }
}

import ApusDevice

/// How a camera was held: EXIF's tag 0x0112, which tells how to turn the stored pixels.
///
/// Source: Exif 2.3 (CIPA DC-008), TIFF 6.0. A damaged entry counts as absent: it only concerns the
/// direction.
struct EXIFOrientation {
  /// 1 to 8; 1 is upright.
  let value: Int

  /// Whether width and height change places.
  var swapsAxes: Bool { value >= 5 }

  init(value: Int) { self.value = (1...8).contains(value) ? value : 1 }

  /// Looks through the segments of a JPEG file for the entry.
  init(jpeg bytes: [UInt8]) {
    var position = 2
    var found = 1
    while position + 4 <= bytes.count, bytes[position] == 0xFF {
      let marker = bytes[position + 1]
      if marker == 0xFF {
        position += 1
        continue
      }
      // Start of scan or end of image: the head is over.
      if marker == 0xDA || marker == 0xD9 { break }
      let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
      let end = position + 2 + length
      guard length >= 2, end <= bytes.count else { break }
      if marker == 0xE1, let value = EXIFOrientation.value(in: bytes[(position + 4)..<end]) {
        found = value
        break
      }
      position = end
    }
    self.init(value: found)
  }

  /// The entry of an APP1 segment, nil where it is no EXIF or has none.
  private static func value(in segment: ArraySlice<UInt8>) -> Int? {
    guard segment.starts(with: Array("Exif\0\0".utf8)) else { return nil }
    let tiff = Array(segment.dropFirst(6))
    guard tiff.count >= 8 else { return nil }
    let isBig = tiff[0] == 0x4D
    func number(at offset: Int, width: Int) -> Int? {
      guard offset >= 0, offset <= tiff.count - width else { return nil }
      let word = tiff[offset..<offset + width]
      return (isBig ? Array(word) : word.reversed()).reduce(0) { $0 << 8 | Int($1) }
    }
    guard let start = number(at: 4, width: 4), let count = number(at: start, width: 2) else {
      return nil
    }
    for index in 0..<count {
      let entry = start + 2 + 12 * index
      guard let tag = number(at: entry, width: 2) else { return nil }
      if tag == 0x0112 { return number(at: entry + 8, width: 2) }
    }
    return nil
  }

  /// `uint8 [C, height, width]` turned so that up is up.
  func upright(_ image: HostArray) throws -> HostArray {
    guard value != 1 else { return image }
    let (channels, height, width) = (image.shape[0], image.shape[1], image.shape[2])
    let (rows, columns) = swapsAxes ? (width, height) : (height, width)
    let bytes = image.bytes
    var turned: [UInt8] = []
    turned.reserveCapacity(bytes.count)
    for channel in 0..<channels {
      for row in 0..<rows {
        for column in 0..<columns {
          // Where pixel (row, column) of the upright image is stored.
          let (y, x) =
            switch value {
            case 2: (row, width - 1 - column)
            case 3: (height - 1 - row, width - 1 - column)
            case 4: (height - 1 - row, column)
            case 5: (column, row)
            case 6: (height - 1 - column, row)
            case 7: (height - 1 - column, width - 1 - row)
            default: (column, width - 1 - row)
            }
          turned.append(bytes[(channel * height + y) * width + x])
        }
      }
    }
    return try HostArray(turned, shape: [channels, rows, columns])
  }
}

import ApusDevice

extension Dataset {
  /// Images of bytes in another size and, where `isGray`, as gray ones; others must be RGB already.
  func images(size: ImageSize, isGray: Bool) throws -> Dataset {
    guard let pixels,
      featureShape[1] != size.height || featureShape[2] != size.width
        || isGray && featureShape[0] == 3
    else { return self }
    let plane = featureShape[1] * featureShape[2]
    var changed: [UInt8] = []
    for start in stride(from: 0, to: pixels.count, by: featureCount) {
      var shape = featureShape
      var bytes = Array(pixels[start..<start + featureCount])
      if isGray, shape[0] == 3 {
        // ITU-R BT.601, as libjpeg's.
        bytes = (0..<plane).map { index in
          let sum =
            299 * Int(bytes[index]) + 587 * Int(bytes[plane + index])
            + 114 * Int(bytes[2 * plane + index])
          return UInt8(clamping: (sum + 500) / 1000)
        }
        shape[0] = 1
      }
      changed += try HostArray(bytes, shape: shape).imageCovering(size).bytes
    }
    return try Dataset(
      name: name, pixels: changed,
      imageShape: [isGray ? 1 : featureShape[0], size.height, size.width], labels: labels,
      classNames: classNames)
  }
}

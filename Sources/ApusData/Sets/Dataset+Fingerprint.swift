import ApusDevice

extension Dataset {
  /// A hash of everything a training sees of the data: shape, values, labels and class names; of
  /// photos, the bytes of their files. Equal for equal data on every machine.
  public var fingerprint: Fingerprint {
    var hash = Fingerprint()
    for extent in featureShape { hash.add(UInt64(extent)) }
    switch storage {
    case .floats(let values): hash.add(values)
    case .slices(let values, let starts, let width):
      for value in values { hash.add(value.bitPattern) }
      hash.add(UInt64(width ?? 0))
      for start in starts { hash.add(UInt64(start)) }
    case .bytes(_, let photos?), .photos(let photos):
      for file in photos.files { hash.add(file.contents.value) }
    case .bytes(let pixels, nil): pixels.withUnsafeBytes { hash.add($0) }
    case .texts(let texts): for text in texts { hash.add(text) }
    case .tokens(let rows):
      hash.add(rows.tokens)
      for end in rows.ends { hash.add(UInt64(end)) }
    }
    hash.add(labels)
    hash.add(targets ?? [])
    for value in exactTargets ?? [] { hash.add(value.bitPattern) }
    for name in classNames { hash.add(name) }
    return hash
  }
}

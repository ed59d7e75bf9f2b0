import ApusDevice

extension Dataset {
  /// A hash of everything a training sees of the data: shape, values, labels and class names. Equal
  /// for equal data on every machine.
  public var fingerprint: Fingerprint {
    var hash = Fingerprint()
    for extent in featureShape { hash.add(UInt64(extent)) }
    if let pixels {
      pixels.withUnsafeBytes { hash.add($0) }
    } else {
      hash.add(features)
    }
    hash.add(labels)
    hash.add(targets ?? [])
    for name in classNames { hash.add(name) }
    return hash
  }
}

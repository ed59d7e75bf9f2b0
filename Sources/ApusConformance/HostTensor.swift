import ApusDevice
import ApusReference

/// The reference device of this suite: the oracle, and the codec of every element type.
package let oracle = ReferenceBackend()

/// The byte around and between the elements of every operand; a device that changes one wrote where
/// it must not.
let guardByte: UInt8 = 0xA5

/// Values on the host, row-major, with the type they are to have.
package struct HostTensor {
  package let shape: [Int]
  package let dtype: DType
  package var values: [Double]

  package init(_ input: Input, seed: Int) {
    shape = input.shape
    dtype = input.dtype
    values = input.values.made(count: input.shape.reduce(1, *), seed: seed)
  }

  /// The same value all along the axis, that of its first element.
  mutating func makeConstant(along axis: Int) {
    let inner = shape[(axis + 1)...].reduce(1, *)
    let block = inner * shape[axis]
    for i in values.indices { values[i] = values[i / block * block + i % inner] }
  }
}

/// An operand with a storage of its own, full of guard bytes off its elements.
package struct Placed {
  package let operand: Operand
  /// All bytes of the storage before any command.
  package let bytes: [UInt8]

  /// - Parameter tensor: the contents, or nil for guard bytes throughout.
  package init(
    _ shape: [Int], _ dtype: DType, _ arrangement: Arrangement, _ tensor: HostTensor?,
    on device: any Backend
  ) throws {
    let layout = arrangement.layout(shape)
    let byteCount = (layout.end + 17) * dtype.byteCount
    var bytes = [UInt8](repeating: guardByte, count: byteCount)
    if let tensor, layout.count > 0 {
      let encoded = Operand(
        storage: try oracle.allocate(byteCount: byteCount), dtype: dtype, layout: layout)
      try bytes.withUnsafeBytes { try oracle.upload($0, to: encoded.storage, byteOffset: 0) }
      let source = try oracle.temporary(shape, .float64)
      try tensor.values.withUnsafeBytes {
        try oracle.upload($0, to: source.storage, byteOffset: 0)
      }
      try oracle.enqueue(.copy, [source], [encoded])
      try bytes.withUnsafeMutableBytes {
        try oracle.download(encoded.storage, byteOffset: 0, into: $0)
      }
    }
    let storage = try device.allocate(byteCount: byteCount)
    try bytes.withUnsafeBytes { try device.upload($0, to: storage, byteOffset: 0) }
    operand = Operand(storage: storage, dtype: dtype, layout: layout)
    self.bytes = bytes
  }

  /// All bytes of the storage now.
  package func download(from device: any Backend) throws -> [UInt8] {
    var now = bytes
    try now.withUnsafeMutableBytes {
      try device.download(operand.storage, byteOffset: 0, into: $0)
    }
    return now
  }

  /// The elements in such bytes, row-major; of a `bool` the byte itself, which must be 0 or 1.
  func decode(_ bytes: [UInt8]) throws -> [Double] {
    guard operand.count > 0 else { return [] }
    let encoded = Operand(
      storage: try oracle.allocate(byteCount: bytes.count),
      dtype: operand.dtype == .bool ? .uint8 : operand.dtype,
      layout: operand.layout)
    try bytes.withUnsafeBytes { try oracle.upload($0, to: encoded.storage, byteOffset: 0) }
    let target = try oracle.temporary(operand.shape, .float64)
    try oracle.enqueue(.copy, [encoded], [target])
    var values = [Double](repeating: 0, count: operand.count)
    try values.withUnsafeMutableBytes {
      try oracle.download(target.storage, byteOffset: 0, into: $0)
    }
    return values
  }

  /// Whether bytes off the elements differ from the guard byte.
  package func isGuardBroken(in bytes: [UInt8]) -> Bool {
    var rest = bytes
    let size = operand.dtype.byteCount
    rest.withUnsafeMutableBytes { rest in
      for at in elementOffsets(operand.layout) {
        for k in 0..<size { rest[at * size + k] = guardByte }
      }
    }
    return rest.contains { $0 != guardByte }
  }
}

private func elementOffsets(_ layout: Layout) -> [Int] {
  var result = layout.count == 0 ? [] : [layout.offset]
  for (extent, stride) in zip(layout.shape, layout.strides) {
    var next: [Int] = []
    next.reserveCapacity(result.count * extent)
    for start in result { for i in 0..<extent { next.append(start + i * stride) } }
    result = next
  }
  return result
}

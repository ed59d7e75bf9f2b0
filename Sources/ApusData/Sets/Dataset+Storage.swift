import ApusDevice

extension Dataset {
  /// How features are kept.
  enum Storage: Sendable {
    case floats([Float])
    /// Examples that overlap in one array, by their beginnings: windows of a series. With a width, as
    /// differences to their last values of that number.
    case slices([Double], starts: [Int], relativeTo: Int?)
    /// Bytes of images and, where they came from files, those.
    case bytes([UInt8], of: Photos?)
    /// Decoded at each reading.
    case photos(Photos)
    /// Not yet what a model takes.
    case texts([String])
    case tokens(TokenRows)

    /// The number of values, of examples of `size` values.
    func count(size: Int) -> Int {
      switch self {
      case .floats(let values): values.count
      case .slices(_, let starts, _): starts.count * size
      case .bytes(let values, _): values.count
      case .photos(let photos): photos.files.count * size
      case .texts(let texts): texts.count * size
      case .tokens(let rows): rows.count * size
      }
    }

    /// Hands over the values of a slice.
    static func appendSlice(
      _ all: [Double], _ start: Int, _ size: Int, _ width: Int?, _ append: (Double) -> Void
    ) {
      let end = start + size
      guard let width else { return all[start..<end].forEach(append) }
      for place in start..<end {
        append(all[place] - all[end - width + (place - start) % width])
      }
    }

    func subset(_ indices: [Int], size: Int) -> Storage {
      switch self {
      case .floats(let values): .floats(Storage.rows(indices, of: values, size))
      case .slices(let values, let starts, let width):
        .slices(values, starts: indices.map { starts[$0] }, relativeTo: width)
      case .bytes(let values, let photos):
        .bytes(Storage.rows(indices, of: values, size), of: photos?.subset(indices))
      case .photos(let photos): .photos(photos.subset(indices))
      case .texts(let texts): .texts(indices.map { texts[$0] })
      case .tokens(let rows): .tokens(rows.subset(indices))
      }
    }

    static func rows<Value>(
      _ indices: [Int], of values: [Value], _ size: Int
    ) -> [Value] {
      var rows: [Value] = []
      rows.reserveCapacity(indices.count * size)
      for index in indices { rows.append(contentsOf: values[index * size..<(index + 1) * size]) }
      return rows
    }

    /// Both where they are kept alike, else nil.
    func appending(_ other: Storage) -> Storage? {
      switch (self, other) {
      case (.floats(let a), .floats(let b)): .floats(a + b)
      case (.bytes(let a, let photos), .bytes(let b, let more)):
        .bytes(a + b, of: photos.flatMap { first in more.map { first.appending($0) } })
      case (.photos(let a), .photos(let b)): .photos(a.appending(b))
      case (.texts(let a), .texts(let b)): .texts(a + b)
      case (.tokens(let a), .tokens(let b)): .tokens(a.appending(b))
      default: nil
      }
    }
  }

  /// Whether features are bytes of images, in memory or in files.
  package var holdsBytes: Bool {
    switch storage {
    case .bytes, .photos: true
    case .floats, .slices, .texts, .tokens: false
    }
  }

  /// Whether images are decoded at each reading instead of being kept in memory.
  package var isDecodedOnDemand: Bool { if case .photos = storage { true } else { false } }

  /// Appends the features of an example that is there.
  /// - Throws: ``ApusError`` naming the file that cannot be decoded.
  package func append(_ index: Int, to values: inout [Float]) throws {
    let range = index * featureCount..<(index + 1) * featureCount
    switch storage {
    case .floats(let all): values.append(contentsOf: all[range])
    case .slices(let all, let starts, let width):
      Storage.appendSlice(all, starts[index], featureCount, width) { values.append(Float($0)) }
    case .bytes(let all, _): values.append(contentsOf: all[range].lazy.map { Float($0) })
    case .photos(let photos):
      values.append(contentsOf: try photos.pixels(index).lazy.map { Float($0) })
    case .texts:
      throw ApusError(
        .data, operation: "Dataset(\(name))", "the examples are texts; make them tokens first")
    case .tokens(let rows):
      let row = rows[index]
      values.append(contentsOf: row.lazy.map { Float($0) })
      values.append(contentsOf: repeatElement(0, count: featureCount - row.count))
    }
  }

  /// Appends the bytes of an example that is there, of a set that holds bytes.
  package func append(_ index: Int, to values: inout [UInt8]) throws {
    switch storage {
    case .floats, .slices, .texts, .tokens:
      throw ApusError(.dtype, operation: "Dataset(\(name))", "the features are no bytes")
    case .bytes(let all, _):
      values.append(contentsOf: all[index * featureCount..<(index + 1) * featureCount])
    case .photos(let photos): values.append(contentsOf: try photos.pixels(index))
    }
  }

  /// Hands over the features of each example, in order. A few are in memory at a time; photos are
  /// decoded ahead, on all cores.
  func forEachExample(_ body: ([Float]) throws -> Void) throws {
    if case .photos(let photos) = storage {
      return try Prefetcher.each(
        of: count, make: { try photos.pixels($0).map { Float($0) } }, take: body)
    }
    var example: [Float] = []
    for index in 0..<count {
      example.removeAll(keepingCapacity: true)
      try append(index, to: &example)
      try body(example)
    }
  }

  /// The file's own pixels of an example that came from one, `uint8 [C, height, width]`, else nil.
  func original(_ index: Int) throws -> HostArray? {
    switch storage {
    case .floats, .slices, .texts, .tokens, .bytes(_, nil): return nil
    case .photos(let photos): return try photos.original(index)
    case .bytes(let all, let photos?):
      guard !photos.isScaled(index) else { return try photos.original(index) }
      let range = index * featureCount..<(index + 1) * featureCount
      return try HostArray(Array(all[range]), shape: featureShape)
    }
  }
}

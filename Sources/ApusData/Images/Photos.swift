import ApusDevice

/// Image files as examples of one shape: decoded, turned, scaled and cut whenever they are read.
struct Photos: Sendable {
  /// A file whose header could be read.
  struct File: Sendable {
    let path: String
    /// As shown.
    let size: ImageSize
    let isGray: Bool
    /// A hash of its bytes.
    let contents: Fingerprint

    /// - Throws: ``ApusError`` naming the file where it is missing, empty, too large or no image.
    init(path: String) throws {
      self.path = path
      let bytes = try FileContents.read(path)
      let header = try ImageFile.header(bytes, name: path)
      size = ImageSize(height: header.height, width: header.width)
      isGray = header.isGray
      var hash = Fingerprint()
      bytes.withUnsafeBytes { hash.add($0) }
      contents = hash
    }

    /// Looks into all of them, on all cores; of several failures, that of the first is thrown.
    static func reading(_ paths: [String]) throws -> [File] {
      var files: [File] = []
      files.reserveCapacity(paths.count)
      try Prefetcher.each(of: paths.count, make: { try File(path: paths[$0]) }) {
        files.append($0)
      }
      return files
    }
  }

  let files: [File]
  /// `[1 or 3, height, width]` of each example.
  let shape: [Int]

  private var size: ImageSize { ImageSize(height: shape[1], width: shape[2]) }

  func subset(_ indices: [Int]) -> Photos {
    Photos(files: indices.map { files[$0] }, shape: shape)
  }

  func appending(_ other: Photos) -> Photos { Photos(files: files + other.files, shape: shape) }

  /// One example, row-major `shape`.
  func pixels(_ index: Int) throws -> [UInt8] { try original(index).imageCovering(size).bytes }

  /// The file's own pixels, `uint8 [channels, height, width]`.
  func original(_ index: Int) throws -> HostArray {
    try ImageFile.read(files[index].path, channels: shape[0] == 1 ? .gray : .rgb)
  }

  /// Whether an example differs from the file's own pixels.
  func isScaled(_ index: Int) -> Bool { files[index].size != size }

  /// All examples, one after the other, decoded on all cores.
  func decoded() throws -> [UInt8] {
    var all: [UInt8] = []
    all.reserveCapacity(files.count * shape.reduce(1, *))
    try Prefetcher.each(of: files.count, make: { try pixels($0) }) { all.append(contentsOf: $0) }
    return all
  }
}

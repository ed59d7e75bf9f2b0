import ApusDevice
import ApusTensor
import Foundation

/// The safetensors format: a JSON header, then raw little-endian tensors.
///
/// Source: the format description of github.com/huggingface/safetensors. A file is checked
/// completely before anything is used: header size, JSON, duplicate names, types, shapes, and that
/// the tensors cover the data without gap or overlap.
public struct Safetensors: Sendable {
  /// One tensor as the file stores it.
  public struct Entry: Sendable {
    /// The format's type name, such as `F32`.
    public let type: String
    public let shape: [Int]
    let range: Range<Int>
  }

  public let entries: [String: Entry]
  public let metadata: [String: String]
  private let data: Data
  private let path: String

  /// The longest header that is read, as in the reference implementation.
  private static let maximumHeader = 100_000_000

  /// Reads a file.
  /// - Throws: ``ApusError`` that names the file and what is wrong with it.
  public init(path: String) throws {
    let data: Data
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw ApusError(.file, operation: path, "there is no such file")
    }
    guard !isDirectory.boolValue else {
      throw ApusError(.file, operation: path, "this is a folder, a file is needed")
    }
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw ApusError(.file, operation: path, "cannot be read: \(error.fileReason)")
    }
    try self.init(data, path: path)
  }

  /// Reads bytes; `path` is for messages.
  public init(_ data: Data, path: String) throws {
    func wrong(_ message: String) -> ApusError {
      ApusError(.file, operation: path, "is no valid safetensors file: \(message)")
    }
    guard !Self.isText(data) else {
      throw ApusError(
        .file, operation: path,
        "is JSON text, such as a model description; a safetensors file with weights is needed, as "
          + "`apus train` writes it")
    }
    guard data.count >= 8 else {
      throw wrong("it has \(data.count) bytes, the header size alone 8")
    }
    let size = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard size <= UInt64(Self.maximumHeader), Int(size) <= data.count - 8 else {
      throw wrong("the header claims \(size) bytes, the file has \(data.count)")
    }
    let header = Data(data.dropFirst(8).prefix(Int(size)))
    let start = 8 + Int(size)
    let bodyCount = data.count - start
    if let name = try duplicateKey(in: header, wrong) { throw wrong("'\(name)' appears twice") }
    guard let object = try? JSONSerialization.jsonObject(with: header) as? [String: Any] else {
      throw wrong("the header is no JSON object")
    }
    var entries: [String: Entry] = [:]
    var metadata: [String: String] = [:]
    for (name, value) in object {
      if name == "__metadata__" {
        guard let texts = value as? [String: String] else {
          throw wrong("'__metadata__' must map names to texts")
        }
        metadata = texts
        continue
      }
      guard let fields = value as? [String: Any], let type = fields["dtype"] as? String,
        let shape = (fields["shape"] as? [Any])?.wholeNumbers,
        let offsets = (fields["data_offsets"] as? [Any])?.wholeNumbers, offsets.count == 2
      else {
        throw wrong("'\(name)' needs 'dtype', 'shape' and two 'data_offsets', whole numbers")
      }
      guard let width = Self.widths[type] else {
        throw wrong("'\(name)' has unknown type '\(type)'")
      }
      var bytes = width
      for extent in shape {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow else { throw wrong("'\(name)' has impossible shape \(shape)") }
        bytes = product
      }
      guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= bodyCount else {
        throw wrong(
          "'\(name)' lies at bytes \(offsets[0])..<\(offsets[1]) of \(bodyCount); "
            + "the file is truncated or the header lies")
      }
      guard offsets[1] - offsets[0] == bytes else {
        throw wrong(
          "'\(name)' has \(offsets[1] - offsets[0]) bytes, \(type)\(shape) takes \(bytes)")
      }
      entries[name] = Entry(type: type, shape: shape, range: offsets[0]..<offsets[1])
    }
    var end = 0
    for (name, entry) in entries.sorted(by: {
      ($0.value.range.lowerBound, $0.value.range.upperBound)
        < ($1.value.range.lowerBound, $1.value.range.upperBound)
    }) {
      guard entry.range.lowerBound == end else {
        throw wrong("'\(name)' starts at byte \(entry.range.lowerBound), expected \(end)")
      }
      end = entry.range.upperBound
    }
    guard end == bodyCount else {
      throw wrong("\(bodyCount - end) bytes after the last tensor belong to nothing")
    }
    self.entries = entries
    self.metadata = metadata
    self.data = Data(data.dropFirst(start))
    self.path = path
    if let claimed = metadata[Self.checksumKey], claimed != Self.checksum(of: self.data) {
      throw wrong("the tensors are not those that were written: their checksum differs")
    }
  }

  private static let checksumKey = "apus.checksum"

  private static func checksum(of body: Data) -> String {
    var hash = Fingerprint()
    body.withUnsafeBytes { hash.add($0) }
    return hash.text
  }

  private static let widths = [
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
  ]

  private static let types: [(DType, String)] = [
    (.float32, "F32"), (.float64, "F64"), (.float16, "F16"), (.bfloat16, "BF16"),
    (.int32, "I32"), (.uint8, "U8"), (.bool, "BOOL"),
  ]

  /// One tensor by name; 64-bit integers become `int32` where they fit.
  /// - Throws: ``ApusError`` where the name or the type is unknown.
  public func tensor(_ name: String, on device: Device) throws -> Tensor {
    guard let entry = entries[name] else {
      throw ApusError(
        .file, operation: path,
        "has no tensor '\(name)'; it has \(entries.keys.sorted().prefix(20).joined(separator: ", "))"
      )
    }
    let bytes = data.subdata(in: entry.range)
    if entry.type == "I64" { return try narrowed(bytes, name, entry.shape, on: device) }
    guard let dtype = Self.types.first(where: { $0.1 == entry.type })?.0 else {
      throw ApusError(
        .file, operation: path, "tensor '\(name)' has type \(entry.type), which is not supported")
    }
    return try bytes.withUnsafeBytes {
      try Tensor(bytes: $0, shape: entry.shape, dtype: dtype, on: device)
    }
  }

  private func narrowed(
    _ bytes: Data, _ name: String, _ shape: [Int], on device: Device
  ) throws -> Tensor {
    let wide = bytes.withUnsafeBytes { buffer in
      (0..<buffer.count / 8).map { buffer.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) }
    }
    let narrow = try wide.map { value in
      guard let fitting = Int32(exactly: value) else {
        throw ApusError(
          .file, operation: path, "tensor '\(name)' holds \(value), which does not fit int32")
      }
      return fitting
    }
    return try Tensor(narrow, shape: shape, on: device)
  }

  /// All tensors by name, but for PyTorch's counters `num_batches_tracked`, which nothing here needs and
  /// which may be greater than an `int32`.
  public func tensors(on device: Device) throws -> [String: Tensor] {
    try values.reduce(into: [:]) { $0[$1] = try tensor($1, on: device) }
  }

  /// Names of the tensors that are no counters beside the statistics of a batch normalisation.
  var values: [String] {
    let names = Set(entries.keys)
    return names.filter { !isBatchCounter($0, beside: names) }
  }

  /// Writes tensors and metadata, atomically. Waits for the devices.
  /// - Parameter hasChecksum: Adds a hash of the tensors to the metadata, which readers here check.
  public static func write(
    _ tensors: [String: Tensor], metadata: [String: String] = [:], hasChecksum: Bool = false,
    to path: String
  ) throws {
    try AtomicFile.write(
      try encode(tensors, metadata: metadata, hasChecksum: hasChecksum), to: path)
  }

  /// The bytes of a file; equal input gives equal bytes.
  public static func encode(
    _ tensors: [String: Tensor], metadata: [String: String] = [:], hasChecksum: Bool = false
  ) throws -> Data {
    var header: [String: Any] = [:]
    var body = Data()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      guard let type = types.first(where: { $0.0 == tensor.dtype })?.1, name != "__metadata__"
      else {
        throw ApusError(.value, operation: "safetensors", "'\(name)' cannot be stored")
      }
      let start = body.count
      body.append(contentsOf: try tensor.bytes())
      header[name] = ["dtype": type, "shape": tensor.shape, "data_offsets": [start, body.count]]
    }
    var metadata = metadata
    if hasChecksum { metadata[checksumKey] = checksum(of: body) }
    if !metadata.isEmpty { header["__metadata__"] = metadata }
    var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
    // Tensors start at a multiple of 8.
    json.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8))
    var file = Data()
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { file.append(contentsOf: $0) }
    file.append(json)
    file.append(body)
    return file
  }
}

extension [Any] {
  /// The elements where all are whole numbers.
  fileprivate var wholeNumbers: [Int]? {
    var result: [Int] = []
    for element in self {
      guard let number = element as? NSNumber,
        let whole = Int(exactly: number.doubleValue), number.doubleValue < 0x1p53
      else { return nil }
      result.append(whole)
    }
    return result
  }
}

/// The first key that an object of the header or the header itself holds twice. JSON readers keep
/// one of the two without a word.
private func duplicateKey(in json: Data, _ wrong: (String) -> ApusError) throws -> String? {
  var scopes: [Set<String>] = []
  let bytes = [UInt8](json)
  var index = 0
  var expectsKey: [Bool] = []
  while index < bytes.count {
    switch bytes[index] {
    case UInt8(ascii: "{"):
      scopes.append([])
      expectsKey.append(true)
    case UInt8(ascii: "["):
      scopes.append([])
      expectsKey.append(false)
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      guard !scopes.isEmpty else { throw wrong("the header is no JSON object") }
      scopes.removeLast()
      expectsKey.removeLast()
    case UInt8(ascii: "\""):
      let start = index
      index += 1
      while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
        index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
      }
      guard index < bytes.count else { throw wrong("a text in the header has no end") }
      var next = index + 1
      while next < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[next]) { next += 1 }
      if next < bytes.count, bytes[next] == UInt8(ascii: ":"), expectsKey.last == true {
        let literal = Data(bytes[start...index])
        let key =
          (try? JSONDecoder().decode(String.self, from: literal))
          ?? String(decoding: literal, as: UTF8.self)
        if !scopes[scopes.count - 1].insert(key).inserted { return key }
      }
    default: break
    }
    guard scopes.count <= 64 else { throw wrong("the header is nested too deeply") }
    index += 1
  }
  return nil
}

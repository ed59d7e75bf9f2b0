import ApusDevice
import Foundation

/// NumPy's format for one array.
///
/// Source: numpy.lib.format, versions 1.0, 2.0 and 3.0. Floats keep their width; integers of other
/// widths become `int32`, and are refused where a value does not fit. Column-major (Fortran) and
/// big-endian files are rearranged.
public enum NPY {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// Throws `.file` when the file is damaged or not NPY, `.dtype` for types the engine lacks.
  public static func read(_ path: String) throws -> HostArray {
    try decode(try FileContents.readUnpacked(path)[...], name: path)
  }

  public static func decode(_ bytes: [UInt8], name: String) throws -> HostArray {
    try decode(bytes[...], name: name)
  }

  static func decode(_ bytes: ArraySlice<UInt8>, name: String) throws -> HostArray {
    let reader = LittleEndianReader(bytes: bytes, name: name)
    guard bytes.starts(with: magic) else {
      throw ApusError(.file, operation: name, "is not an NPY file: its first bytes are others")
    }
    let version = try reader.number(at: 6, width: 1)
    guard (1...3).contains(version) else {
      throw ApusError(.file, operation: name, "has the NPY version \(version); 1 to 3 are known")
    }
    let width = version == 1 ? 2 : 4
    let length = try reader.number(at: 8, width: width)
    let text = try reader.slice(at: 8 + width, count: length)
    guard length < 1 << 20, let text = String(validating: text, as: UTF8.self) else {
      throw ApusError(.file, operation: name, "has a damaged NPY header")
    }
    let header = try NPYHeader(text: text, name: name)
    let element = try Element(header.descriptor, name: name)
    let body = bytes.dropFirst(8 + width + length)
    guard let count = HostArray.elementCount(of: header.shape),
      case let (needed, overflow) = count.multipliedReportingOverflow(by: element.width),
      !overflow, needed == body.count
    else {
      throw ApusError(
        .file, operation: name,
        "claims the shape \(header.shape) of '\(header.descriptor)', but has \(body.count) bytes of "
          + "elements; it is truncated or damaged")
    }
    var elements =
      element.isBigEndian ? ByteOrder.reversed(body, width: element.width) : Array(body)
    if header.isFortranOrder {
      elements = rowMajor(elements, shape: header.shape, width: element.width)
    }
    return try element.array(elements, shape: header.shape, name: name)
  }

  /// Column-major elements in row-major order.
  private static func rowMajor(_ bytes: [UInt8], shape: [Int], width: Int) -> [UInt8] {
    guard shape.count > 1, !bytes.isEmpty else { return bytes }
    var strides: [Int] = []
    var next = width
    for extent in shape {
      strides.append(next)
      next *= extent
    }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = [Int](repeating: 0, count: shape.count)
    var offset = 0
    while result.count < bytes.count {
      for byte in 0..<width { result.append(bytes[offset + byte]) }
      for axis in shape.indices.reversed() {
        index[axis] += 1
        offset += strides[axis]
        if index[axis] < shape[axis] { break }
        offset -= strides[axis] * shape[axis]
        index[axis] = 0
      }
    }
    return result
  }

  /// Writes a file of version 1.0 atomically. Throws `.dtype` for `bfloat16`, which NumPy lacks.
  public static func write(_ array: HostArray, to path: String) throws {
    try AtomicFile.write(Data(try encode(array, name: path)), to: path)
  }

  /// The bytes of an NPY file.
  public static func encode(_ array: HostArray, name: String = "NPY") throws -> [UInt8] {
    let descriptor: String
    switch array.dtype {
    case .float64: descriptor = "<f8"
    case .float32: descriptor = "<f4"
    case .float16: descriptor = "<f2"
    case .int32: descriptor = "<i4"
    case .uint8: descriptor = "|u1"
    case .bool: descriptor = "|b1"
    case .bfloat16:
      throw ApusError(
        .dtype, operation: name, "NumPy has no bfloat16; convert to float32 before writing")
    }
    let extents = array.shape.map { String($0) }.joined(separator: ", ")
    let tuple = array.shape.count == 1 ? "(\(extents),)" : "(\(extents))"
    var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': \(tuple), }"
    let unpadded = 10 + header.utf8.count + 1
    header += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
    guard let length = UInt16(exactly: header.utf8.count) else {
      throw ApusError(.shape, operation: name, "\(array.shape.count) axes do not fit an NPY header")
    }
    return magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(header.utf8)
      + array.bytes
  }
}

extension NPY {
  /// A NumPy type the reader takes.
  private struct Element {
    private let kind: Character
    let width: Int
    let isBigEndian: Bool

    init(_ descriptor: String, name: String) throws {
      let characters = Array(descriptor)
      guard characters.count == 3, "<>|=".contains(characters[0]),
        let width = characters[2].wholeNumberValue,
        ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
          .contains(descriptor.dropFirst())
      else {
        throw ApusError(
          .dtype, operation: name,
          "has elements of NumPy type '\(descriptor)'; floats, integers and booleans can be read "
            + "(convert with astype before saving)")
      }
      self.kind = characters[1]
      self.width = width
      self.isBigEndian = characters[0] == ">"
    }

    /// `bytes`: little-endian, row-major.
    func array(_ bytes: [UInt8], shape: [Int], name: String) throws -> HostArray {
      let dtype: DType
      switch (kind, width) {
      case ("f", 2): dtype = .float16
      case ("f", 4): dtype = .float32
      case ("f", _): dtype = .float64
      case ("i", 4): dtype = .int32
      case ("u", 1): dtype = .uint8
      case ("b", _):
        return try HostArray(shape: shape, dtype: .bool, bytes: bytes.map { $0 == 0 ? 0 : 1 })
      default: return try HostArray(try narrowed(bytes, name: name), shape: shape)
      }
      return try HostArray(shape: shape, dtype: dtype, bytes: bytes)
    }

    private func narrowed(_ bytes: [UInt8], name: String) throws -> [Int32] {
      try stride(from: 0, to: bytes.count - width + 1, by: width).map { start in
        var bits: UInt64 = 0
        for offset in (0..<width).reversed() { bits = bits << 8 | UInt64(bytes[start + offset]) }
        let unused = 64 - 8 * width
        let value =
          kind == "i"
          ? Int32(exactly: Int64(bitPattern: bits << UInt64(unused)) >> Int64(unused))
          : Int32(exactly: bits)
        guard let value else {
          throw ApusError(
            .data, operation: name,
            "element \(start / width) of type \(kind)\(width) does not fit into int32")
        }
        return value
      }
    }
  }
}

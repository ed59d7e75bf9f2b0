import ApusDevice
import Foundation

/// The IDX format of the MNIST family: two zero bytes, type, rank, extents, elements, all big-endian.
///
/// Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Files may be
/// packed with gzip. `int8` and `int16` become `int32`.
public enum IDX {
  private enum Element: UInt8 {
    case uint8 = 0x08
    case int8 = 0x09
    case int16 = 0x0B
    case int32 = 0x0C
    case float32 = 0x0D
    case float64 = 0x0E

    var byteCount: Int {
      switch self {
      case .uint8, .int8: 1
      case .int16: 2
      case .int32, .float32: 4
      case .float64: 8
      }
    }
  }

  /// Reads a file, packed or not. Throws `.file` naming what is wrong with it.
  public static func read(_ path: String) throws -> HostArray {
    try decode(try FileContents.readUnpacked(path), name: path)
  }

  /// Decodes unpacked bytes; `name` is what errors call them.
  public static func decode(_ bytes: [UInt8], name: String) throws -> HostArray {
    func failure(_ message: String) -> ApusError { ApusError(.file, operation: name, message) }
    guard bytes.count >= 4, bytes[0] == 0, bytes[1] == 0 else {
      throw failure("is not an IDX file: it must begin with two zero bytes, type and rank")
    }
    guard let element = Element(rawValue: bytes[2]) else {
      throw failure("has the unknown IDX element type 0x\(String(bytes[2], radix: 16))")
    }
    let rank = Int(bytes[3])
    let start = 4 + 4 * rank
    guard bytes.count >= start else {
      throw failure(
        "is truncated: its header of rank \(rank) needs \(start) bytes, it has "
          + "\(bytes.count)")
    }
    let shape = (0..<rank).map { axis in
      bytes[(4 + 4 * axis)..<(8 + 4 * axis)].reduce(0) { $0 << 8 | Int($1) }
    }
    let present = bytes.count - start
    let count = HostArray.elementCount(of: shape)
    let needed = count.map { $0.multipliedReportingOverflow(by: element.byteCount) }
    guard let needed, !needed.overflow, needed.partialValue == present else {
      let claim = needed.map { $0.overflow ? "more than fits in memory" : "\($0.partialValue)" }
      throw failure(
        "claims the shape \(shape), \(claim ?? "more than fits in memory") bytes of elements, but has "
          + "\(present); it is truncated or damaged")
    }
    return try array(bytes[start...], element, shape)
  }

  private static func array(
    _ body: ArraySlice<UInt8>, _ element: Element, _ shape: [Int]
  ) throws -> HostArray {
    switch element {
    case .uint8: return try HostArray(Array(body), shape: shape)
    case .int8:
      return try HostArray(body.map { Int32(Int8(bitPattern: $0)) }, shape: shape)
    case .int16:
      let values = stride(from: body.startIndex, to: body.endIndex, by: 2).map {
        Int32(Int16(bitPattern: UInt16(body[$0]) << 8 | UInt16(body[$0 + 1])))
      }
      return try HostArray(values, shape: shape)
    case .int32: return try swapped(body, .int32, shape)
    case .float32: return try swapped(body, .float32, shape)
    case .float64: return try swapped(body, .float64, shape)
    }
  }

  private static func swapped(
    _ body: ArraySlice<UInt8>, _ dtype: DType, _ shape: [Int]
  ) throws -> HostArray {
    try HostArray(
      shape: shape, dtype: dtype, bytes: ByteOrder.reversed(body, width: dtype.byteCount))
  }

  /// Writes a file atomically, packed when its name ends in `.gz`. `uint8`, `int32`, `float32` and
  /// `float64` are taken; throws `.dtype` for others.
  public static func write(_ array: HostArray, to path: String) throws {
    let bytes = try encode(array, name: path)
    let packed = path.hasSuffix(".gz") ? try Zlib.deflate(bytes, .gzip, name: path) : bytes
    try AtomicFile.write(Data(packed), to: path)
  }

  /// The bytes of an IDX file.
  public static func encode(_ array: HostArray, name: String = "IDX") throws -> [UInt8] {
    let element: Element
    switch array.dtype {
    case .uint8: element = .uint8
    case .int32: element = .int32
    case .float32: element = .float32
    case .float64: element = .float64
    case .float16, .bfloat16, .bool:
      throw ApusError(
        .dtype, operation: name,
        "IDX cannot hold \(array.dtype); convert to uint8, int32, float32 or float64")
    }
    guard let rank = UInt8(exactly: array.shape.count) else {
      throw ApusError(
        .shape, operation: name, "IDX holds at most 255 axes, not \(array.shape.count)")
    }
    var bytes: [UInt8] = [0, 0, element.rawValue, rank]
    for extent in array.shape {
      guard let extent = UInt32(exactly: extent) else {
        throw ApusError(.shape, operation: name, "IDX extents are below 2³², not \(extent)")
      }
      withUnsafeBytes(of: extent.bigEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes + ByteOrder.reversed(array.bytes[...], width: array.dtype.byteCount)
  }
}

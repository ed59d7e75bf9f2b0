import ApusDevice
import CZlib

/// Deflate streams (RFC 1951) and gzip files (RFC 1952) through the system's zlib.
package enum Zlib {
  /// The window-bits argument of zlib, which also chooses the wrapper.
  package enum Wrapper: Int32 { case raw = -15, gzip = 31 }

  /// No more than this is unpacked unless a caller asks for it.
  package static let defaultLimit = 4 << 30

  static func isGzip(_ bytes: [UInt8]) -> Bool {
    bytes.count > 2 && bytes[0] == 0x1F && bytes[1] == 0x8B
  }

  /// Unpacks every member of a gzip file. Throws `.file` when it is damaged, truncated, followed by
  /// something else, or longer than `limit` when unpacked.
  package static func gunzip(_ bytes: [UInt8], name: String, limit: Int = defaultLimit) throws
    -> [UInt8]
  {
    try inflate(bytes[...], .gzip, name: name, limit: limit)
  }

  /// Memory grows with what is really there (deflate cannot expand by more than 1 032), never by what
  /// a header claims.
  static func inflate(
    _ input: ArraySlice<UInt8>, _ wrapper: Wrapper, name: String, limit: Int = defaultLimit
  ) throws -> [UInt8] {
    var stream = z_stream()
    guard
      inflateInit2_(
        &stream, wrapper.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw ApusError(.outOfMemory, operation: name, "zlib cannot be started") }
    defer { inflateEnd(&stream) }
    var output: [UInt8] = []
    output.reserveCapacity(min(limit, input.count * 3))
    var chunk = [UInt8](repeating: 0, count: 1 << 17)
    try input.withUnsafeBufferPointer { source in
      var position = 0
      while true {
        let available = min(source.count - position, 1 << 30)
        stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0 + position) }
        stream.avail_in = UInt32(available)
        let (status, produced) = chunk.withUnsafeMutableBufferPointer { buffer in
          stream.next_out = buffer.baseAddress
          stream.avail_out = UInt32(buffer.count)
          let status = CZlib.inflate(&stream, Z_NO_FLUSH)
          return (status, buffer.count - Int(stream.avail_out))
        }
        position += available - Int(stream.avail_in)
        guard output.count + produced <= limit else {
          throw ApusError(
            .file, operation: name, "unpacks to more than \(limit) bytes, which is refused")
        }
        output.append(contentsOf: chunk[..<produced])
        switch status {
        case Z_STREAM_END:
          if position == source.count { return }
          guard wrapper == .gzip, inflateReset(&stream) == Z_OK else {
            throw ApusError(
              .file, operation: name, "has \(source.count - position) bytes after its packed data")
          }
        case Z_OK where produced > 0 || position < source.count: continue
        case Z_OK, Z_BUF_ERROR:
          throw ApusError(.file, operation: name, "its packed data is truncated")
        default:
          let reason = stream.msg.map { String(cString: $0) } ?? "status \(status)"
          throw ApusError(.file, operation: name, "its packed data is damaged (\(reason))")
        }
      }
    }
    return output
  }

  package static func deflate(
    _ input: [UInt8], _ wrapper: Wrapper, name: String, level: Int32 = 6
  ) throws -> [UInt8] {
    var stream = z_stream()
    guard
      deflateInit2_(
        &stream, level, Z_DEFLATED, wrapper.rawValue, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw ApusError(.outOfMemory, operation: name, "zlib cannot be started") }
    defer { deflateEnd(&stream) }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 17)
    try input.withUnsafeBufferPointer { source in
      var position = 0
      while true {
        let available = min(source.count - position, 1 << 30)
        let isLast = position + available == source.count
        stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0 + position) }
        stream.avail_in = UInt32(available)
        let (status, produced) = chunk.withUnsafeMutableBufferPointer { buffer in
          stream.next_out = buffer.baseAddress
          stream.avail_out = UInt32(buffer.count)
          let status = CZlib.deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
          return (status, buffer.count - Int(stream.avail_out))
        }
        position += available - Int(stream.avail_in)
        output.append(contentsOf: chunk[..<produced])
        if status == Z_STREAM_END { return }
        guard status == Z_OK else {
          throw ApusError(.file, operation: name, "zlib cannot pack it (status \(status))")
        }
      }
    }
    return output
  }

  /// The checksum of zip entries.
  package static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.withUnsafeBufferPointer { buffer in
      UInt32(truncatingIfNeeded: crc32_z(0, buffer.baseAddress, buffer.count))
    }
  }
}

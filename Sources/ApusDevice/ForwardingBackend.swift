/// A device that hands on to another one what it does not do itself; its own part is `enqueue`.
package protocol ForwardingBackend: Backend {
  var target: any Backend { get }
}

extension ForwardingBackend {
  package var info: DeviceInfo { target.info }
  package var counters: DeviceCounters { target.counters }
  package var prefersChannelsLast: Bool { target.prefersChannelsLast }
  package var matrixPrecision: MatrixPrecision { target.matrixPrecision }
  package func setMatrixPrecision(_ precision: MatrixPrecision) throws {
    try target.setMatrixPrecision(precision)
  }
  package func limitMemory(to byteCount: Int?) { target.limitMemory(to: byteCount) }
  package func allocate(byteCount: Int) throws -> Storage {
    try target.allocate(byteCount: byteCount)
  }
  package func upload(
    _ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int
  ) throws { try target.upload(bytes, to: storage, byteOffset: byteOffset) }
  package func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws { try target.download(storage, byteOffset: byteOffset, into: bytes) }
  package func synchronize() throws { try target.synchronize() }
}

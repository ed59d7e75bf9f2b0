import Apus
import ApusOpenCL
import Synchronization

/// A device that computes on another one and notes the matrix products that it is asked for.
final class ProductRecorder: Backend {
  private let target: any Backend
  private let noted = Mutex<[Tuner.Product]>([])

  init(_ target: any Backend) { self.target = target }

  /// Each once, the largest first.
  var products: [Tuner.Product] {
    noted.withLock { all in
      var seen: Set<Tuner.Product> = []
      return all.filter { seen.insert($0).inserted }
        .sorted { $0.m * $0.n * $0.k > $1.m * $1.n * $1.k }
    }
  }

  func begin() { noted.withLock { $0 = [] } }

  var info: DeviceInfo { target.info }
  var counters: DeviceCounters { target.counters }
  var prefersChannelsLast: Bool { target.prefersChannelsLast }
  func limitMemory(to byteCount: Int?) { target.limitMemory(to: byteCount) }
  func allocate(byteCount: Int) throws -> Storage { try target.allocate(byteCount: byteCount) }
  func upload(_ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int) throws {
    try target.upload(bytes, to: storage, byteOffset: byteOffset)
  }
  func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws { try target.download(storage, byteOffset: byteOffset, into: bytes) }
  func synchronize() throws { try target.synchronize() }

  func enqueue(_ command: Command) throws {
    if let product = Self.product(command) { noted.withLock { $0.append(product) } }
    try target.enqueue(command)
  }

  private static func product(_ command: Command) -> Tuner.Product? {
    switch command.operation {
    case .linear:
      let (x, weight) = (command.inputs[0].layout, command.inputs[1].layout)
      guard x.isContiguous, weight.isContiguous else { return nil }
      return Tuner.Product(x.shape[0], weight.shape[0], x.shape[1], .weight)
    case .gemm:
      let (a, b) = (command.inputs[0].layout, command.inputs[1].layout)
      guard a.shape[0] == 1 else { return nil }
      let (m, n, k) = (a.shape[1], b.shape[2], a.shape[2])
      // Which operand is a transposed view; two of them no layer asks for.
      switch (a.strides[2] == 1, b.strides[2] == 1) {
      case (true, true): return Tuner.Product(m, n, k, .plain)
      case (true, false): return Tuner.Product(m, n, k, .weight)
      case (false, true): return Tuner.Product(m, n, k, .gradient)
      case (false, false): return nil
      }
    default: return nil
    }
  }
}
